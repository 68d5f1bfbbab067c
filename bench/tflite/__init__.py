"""Reading `.tflite` files, and running them in the reference interpreters."""
