"""From a prediction and its truth to rows and pooled figures."""
