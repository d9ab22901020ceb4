"""Tests of the frontend, with a plain meaning of networks to hold against ONNX Runtime."""
