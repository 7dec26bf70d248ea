"""A1111's `modules.face_restoration`."""

from modules.compat.small import restore_faces

__all__ = ["FaceRestoration", "restore_faces"]


class FaceRestoration:
    def name(self):
        return "None"

    def restore(self, np_image):
        return np_image
