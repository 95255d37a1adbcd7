package contensis

import (
	"fmt"
	"net/http"
	"strings"

	"roster/internal/directory"
	"roster/internal/id"
	"roster/internal/wire"
)

// errorModel is the body of most failures (section 2.4).
type errorModel struct {
	LogID   string `json:"logId"`
	Message string `json:"message"`
	Data    any    `json:"data"`
	Type    string `json:"type"` // "error", or "Validation" with a list in data
}

// violation is one entry of a validation's data.
type violation struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// denial is the body of every 401, which is not the Error model (section 1.3).
type denial struct {
	Message string `json:"message"`
}

// tokenAnswer is what a sign-in gets (section 1.2).
type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	ExpiresIn    int64  `json:"expires_in"` // seconds
	TokenType    string `json:"token_type"`
	RefreshToken string `json:"refresh_token,omitempty"`
}

// tokenFailure is what a refused sign-in gets. Clients make Code the message
// of their exception.
type tokenFailure struct {
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

// readUserIDs reads the body of a bulk operation: an array of user GUIDs.
func readUserIDs(w http.ResponseWriter, r *http.Request) ([]id.User, error) {
	if !bearsJSON(r) {
		return nil, malformed("body.type", "The body must be JSON: set Content-Type to application/json.")
	}
	body, err := wire.ReadBody(w, r, wire.MaxBody)
	if err != nil {
		return nil, err
	}
	v, err := wire.Lenient(body)
	if err != nil {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok {
		return nil, malformed("body.shape", "The body must be an array of user ids.")
	}
	users := make([]id.User, len(list))
	for i, item := range list {
		text, _ := item.(string)
		guid, ok := parseGUID(text)
		if !ok {
			return nil, malformed("body.shape", fmt.Sprintf("Item %d of the array is not a GUID.", i+1))
		}
		users[i] = id.User(guid)
	}
	return users, nil
}

// bearsJSON reports whether the body is said to be JSON, or not said to be
// anything.
func bearsJSON(r *http.Request) bool {
	if r.Header.Get("Content-Type") == "" {
		return true
	}
	t := wire.MediaType(r)
	return t == "application/json" || t == "text/json" || strings.HasSuffix(t, "+json")
}

func malformed(code, detail string) error {
	return &directory.Error{Kind: directory.Invalid, Code: code, Detail: detail}
}
