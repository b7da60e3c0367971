"""Data sets, read from the folders and lists on disk. Imports nothing else of this package but `messages`.

- `images`: read one image file, transform it, and the data set of a list of files.
- `raster`: the formats of images, found by content.
- `image_folder`, `image_files`: images in one folder per class (`open_folder`).
- `class_folders`: where the class folders of each split are, and the files in them.
- `splits`: what train, val and test mean, and which files are held out for validation.
- `synthetic`: two generated tasks that separate the blocks.
- `video`: the same for videos (needs PyAV).
"""
