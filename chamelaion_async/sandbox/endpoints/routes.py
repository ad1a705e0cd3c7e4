"""All endpoints."""

from . import account, lipsync, output, video_translate, voices

ROUTES = (*account.ROUTES, *lipsync.ROUTES, *video_translate.ROUTES, *voices.ROUTES, *output.ROUTES)
