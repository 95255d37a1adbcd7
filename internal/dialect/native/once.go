package native

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/http"

	jsonv2 "github.com/go-json-experiment/json"

	"roster/internal/directory"
	"roster/internal/wire"
)

// change is one write: how it is carried out and answered.
type change[T any] struct {
	body   []byte // as it came, for telling a repetition from another request
	do     func(context.Context, directory.Principal) (directory.Answer[T], error)
	answer func(T, directory.Revision) answer

	// secret is set if the answer holds one. What is kept of it is then sealed,
	// since a credential is otherwise kept as a hash only.
	secret bool
}

// write carries out a change and answers it. With an Idempotency-Key it happens
// at most once: who asks again gets the answer of the first time.
func write[T any](a *api, w http.ResponseWriter, r *http.Request, p directory.Principal, c change[T]) error {
	if err := strongOnly(r); err != nil {
		return err
	}
	if err := parseParams(r).err; err != nil {
		return err
	}
	key, err := onceKey(r)
	if err != nil {
		return err
	}
	if key != "" {
		p.Once = &directory.Once{
			Key:         key,
			Fingerprint: fingerprint(r, c.body),
			Encode: func(value any, rev directory.Revision) []byte {
				return a.keep(c.answer(value.(T), rev), c.secret)
			},
		}
	}
	done, err := c.do(r.Context(), p)
	if errors.Is(err, directory.ErrReplayed) {
		kept, err := a.kept(p.Once.Replay, c.secret)
		if err != nil {
			return err
		}
		w.Header().Set(headerReplayed, "true")
		kept.write(w)
		return nil
	}
	if err != nil {
		return err
	}
	c.answer(done.Value, done.Revision).write(w)
	return nil
}

// maxOnceKey is how long an Idempotency-Key may be.
const maxOnceKey = 255

func onceKey(r *http.Request) (string, error) {
	values := r.Header[headerOnce]
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	ok := len(values) == 1 && len(key) >= 1 && len(key) <= maxOnceKey
	for i := range len(key) {
		ok = ok && key[i] > ' ' && key[i] <= '~'
	}
	if !ok {
		return "", invalid("idempotency.malformed", headerOnce, "An Idempotency-Key is 1 to 255 visible ASCII characters.")
	}
	return key, nil
}

// fingerprint is of everything that makes a request what it is, each part with
// its length in front.
func fingerprint(r *http.Request, body []byte) [32]byte {
	h := sha256.New()
	var n [8]byte
	for _, part := range [][]byte{[]byte(r.Method), []byte(r.URL.EscapedPath()), []byte(r.URL.RawQuery), []byte(r.Header.Get("If-Match")), body} {
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write(part)
	}
	return [32]byte(h.Sum(nil))
}

// sealPurpose is what kept answers with a secret are sealed for.
const sealPurpose = "native idempotency"

func (a *api) keep(ans answer, secret bool) []byte {
	b, err := wire.Marshal(ans)
	if err != nil {
		panic(err) // it was encoded before
	}
	if secret {
		return a.authn.Sealer().Seal(sealPurpose, string(b))
	}
	return b
}

func (a *api) kept(b []byte, secret bool) (answer, error) {
	var ans answer
	if secret {
		text, err := a.authn.Sealer().Open(sealPurpose, b)
		if err != nil {
			return ans, err
		}
		b = []byte(text)
	}
	err := jsonv2.Unmarshal(b, &ans)
	return ans, err
}
