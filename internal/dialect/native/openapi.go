package native

import (
	_ "embed" // for openapi.json
	"net/http"

	"roster/internal/directory"
)

// openAPI describes this API as OpenAPI 3.1. It is written by hand, and the
// tests hold it to the route table and to every recorded answer.
//
//go:embed openapi.json
var openAPI []byte

func describe(w http.ResponseWriter, _ *http.Request, _ directory.Principal) error {
	h := w.Header()
	h["Content-Type"] = jsonType
	h.Set("Cache-Control", "public, max-age=300")
	w.Write(openAPI)
	return nil
}
