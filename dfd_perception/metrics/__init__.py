"""Measures of depth, deblurring and defocus: numpy and OpenCV only, streaming, masked, in constant memory."""
