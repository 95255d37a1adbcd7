package syncano

import (
	"net/http"

	"roster/internal/directory"
)

// serveRoot answers GET /, which one client pings (section 1.1).
func serveRoot(w http.ResponseWriter, _ *http.Request, _ directory.Principal, v *visit) error {
	v.write(w, http.StatusOK, map[string]any{"links": map[string]string{"v1": "/v1/", "v1.1": "/v1.1/", "v2": "/v2/"}})
	return nil
}

// serveVersion answers GET /v1.1/ and GET /v1/.
func serveVersion(w http.ResponseWriter, _ *http.Request, _ directory.Principal, v *visit) error {
	at := v.links.version
	v.write(w, http.StatusOK, map[string]any{"links": map[string]string{
		"instances": at + "/instances/", "backups": at + "/backups/", "account": at + "/account/", "usage": at + "/usage/",
	}})
	return nil
}
