package authn_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roster/internal/authn"
)

func TestTheSealingKeyIsWhereTheEnvironmentSays(t *testing.T) {
	dir := t.TempDir()
	key := func(digit string) string { return strings.Repeat(digit, 64) }
	file := filepath.Join(dir, "elsewhere")
	if err := os.WriteFile(file, []byte(key("b")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	load := func(env, fileEnv string) (string, error) {
		t.Helper()
		t.Setenv(authn.SealKeyEnv, env)
		t.Setenv(authn.SealKeyFileEnv, fileEnv)
		s, err := authn.LoadSealer(dir)
		if err != nil {
			return "", err
		}
		return s.Fingerprint(), nil
	}
	var prints []string
	for _, c := range []struct{ env, file string }{{key("a"), ""}, {"", file}, {"", ""}} {
		print, err := load(c.env, c.file)
		if err != nil {
			t.Fatal(err)
		}
		again, err := load(c.env, c.file)
		if err != nil || again != print {
			t.Errorf("the key is %s and then %s, %v", print, again, err)
		}
		if strings.Contains(print, "aaaa") || strings.Contains(print, "bbbb") {
			t.Errorf("the fingerprint %s shows the key", print)
		}
		prints = append(prints, print)
	}
	if prints[0] == prints[1] || prints[1] == prints[2] || prints[0] == prints[2] {
		t.Errorf("three keys have the fingerprints %v", prints)
	}
	if both, err := load(key("a"), file); err != nil || both != prints[0] {
		t.Errorf("with both the key is %s, %v; want that of the variable itself", both, err)
	}
	if made, err := os.ReadFile(filepath.Join(dir, "seal.key")); err != nil || len(strings.TrimSpace(string(made))) != 64 {
		t.Errorf("without either a key is made: %q, %v", made, err)
	}
	missing := filepath.Join(dir, "missing")
	if _, err := load("", missing); err == nil {
		t.Error("a file that is named and not there is made up")
	}
	if _, err := os.Stat(missing); err == nil {
		t.Error("a file that is named and not there was made")
	}
	for _, bad := range []string{"short", key("x")} {
		if _, err := load(bad, ""); err == nil || strings.Contains(err.Error(), bad) {
			t.Errorf("the key %q is taken, or told: %v", bad, err)
		}
	}
}
