package dronahq

import (
	"net/http"
	"strings"

	"roster/internal/dialect"
	"roster/internal/directory"
	"roster/internal/wire"
)

// maxUsers is how many users one call creates, activates or deactivates.
const maxUsers = 50

var errNoEmails = &directory.Error{Kind: directory.Invalid, Code: "users.none", Field: "list_user_email", Detail: "list_user_email must contain at least one email."}

// suspend activates or deactivates users (section 2.5). Entries past the fiftieth
// have failed, so that none of them vanishes.
func (d *door) suspend(s surface, suspended bool) dialect.Handler {
	return func(w http.ResponseWriter, r *http.Request, p directory.Principal) error {
		sent, err := fieldsOf(r).names("list_user_email")
		if err != nil {
			return err
		}
		if len(sent) == 0 {
			return errNoEmails
		}
		var out lifecycleAnswer
		var asked []string
		in := directory.Suspension{Suspended: suspended}
		seen := map[string]bool{}
		for _, email := range sent {
			folded := directory.FoldName(strings.TrimSpace(email))
			switch {
			case seen[folded]:
			case len(seen) >= maxUsers:
				out.Failed = append(out.Failed, email)
			case !isEmail(email):
				out.Invalid = append(out.Invalid, email)
			default:
				asked = append(asked, email)
				in.Users = append(in.Users, directory.ByEmail(folded))
			}
			seen[folded] = true
		}
		done, err := d.directory.Suspend(r.Context(), p, in)
		if err != nil {
			return err
		}
		var failed []string // those of the first fifty come first
		for i, result := range done.Value {
			switch {
			case result.Problem == nil:
				out.Success = append(out.Success, asked[i])
			case result.Problem.Kind == directory.NotFound:
				out.NotExist = append(out.NotExist, asked[i])
			default:
				failed = append(failed, asked[i])
			}
		}
		out.Failed = append(failed, out.Failed...)
		if s.bearerOnly {
			wire.WriteJSON(w, http.StatusOK, out)
		} else {
			wire.WriteJSON(w, http.StatusOK, pluginLifecycleAnswer{lifecycleAnswer: out, NotExist: out.NotExist, NotFound: out.NotExist, Missing: out.NotExist})
		}
		return nil
	}
}

// maxEmail is how long an address may be on this wire (section 1.6).
const maxEmail = 250

func isEmail(s string) bool {
	s = strings.TrimSpace(s)
	return len(s) <= maxEmail && directory.IsEmail(s)
}
