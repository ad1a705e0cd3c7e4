"""All endpoints."""

from . import routes_account, routes_lipsync, routes_output, routes_translate

ROUTES = (
    *routes_account.ROUTES,
    *routes_lipsync.ROUTES,
    *routes_translate.ROUTES,
    *routes_output.ROUTES,
)
