"""The blur chart: plain planes of known blur, contrast and noise, and how near a meter comes to what is possible."""
