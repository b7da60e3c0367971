"""Networks for other programs: ONNX, torch.export, AOTInductor, OpenVINO, and integers."""
