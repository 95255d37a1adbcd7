package server_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// allowed says which of Roster's packages each package may import, by the
// longest prefix that matches. A package that is not listed may import none.
// If this test stops you, the arrow is usually telling you where the code belongs.
var allowed = map[string][]string{
	"internal/id":                    {},
	"internal/index":                 {"internal/id"},
	"internal/directory":             {"internal/id", "internal/index"},
	"internal/store/changelog":       {"internal/id", "internal/directory"},
	"internal/store/terms":           {"internal/id", "internal/directory"},
	"internal/store/transfer":        {},
	"internal/store/sqlite":          {"internal/id", "internal/directory", "internal/store/changelog", "internal/store/terms", "internal/store/transfer"},
	"internal/store/postgres":        {"internal/id", "internal/directory", "internal/store/changelog", "internal/store/terms", "internal/store/transfer"},
	"internal/store/postgres/pgtest": {},
	"internal/authn":                 {"internal/id", "internal/directory"},
	"internal/wire":                  {"internal/id", "internal/directory"},
	"internal/apply":                 {"internal/id", "internal/directory", "internal/authn"},
	"internal/dialect":               {"internal/id", "internal/directory", "internal/authn", "internal/wire"},
	"internal/dialect/":              {"internal/id", "internal/directory", "internal/authn", "internal/wire", "internal/dialect"},
	// The native API alone also carries out declarative files, sent by whoever
	// holds the platform's key.
	"internal/dialect/native":          {"internal/id", "internal/directory", "internal/authn", "internal/wire", "internal/dialect", "internal/apply"},
	"internal/server":                  {"internal/", "examples"},
	"internal/cli":                     {"internal/server", "internal/apply", "client"},
	"cmd/":                             {"internal/cli"},
	"client":                           {},
	"examples":                         {},
	"bench/engines":                    {},
	"bench/load":                       {},
	"bench/loadgen":                    {"bench/load"},
	"bench":                            {"internal/", "bench/load"},
	"deploy/patroni/failover":          {"client"},
	"internal/store/storetest":         {"internal/id", "internal/directory", "internal/store/changelog"},
	"internal/directory/directorytest": {"internal/id", "internal/directory", "internal/authn", "internal/store/sqlite"},
	"internal/dialect/dialecttest":     {"internal/"},
}

// forbidden says which packages of others a package must not import: the core
// knows no HTTP, no SQL and no JSON; driver errors stop in their store.
var forbidden = map[string][]string{
	"internal/id":             {"net/http", "database/sql", "encoding/json"},
	"internal/index":          {"net/http", "database/sql", "encoding/json"},
	"internal/store/transfer": {"net/http", "database/sql", "modernc.org/", "github.com/jackc/"},
	"internal/directory":      {"net/http", "database/sql", "encoding/json", "modernc.org/", "github.com/jackc/"},
	"internal/authn":          {"net/http", "database/sql"},
	"internal/wire":           {"database/sql"},
	"internal/dialect":        {"database/sql", "modernc.org/", "github.com/jackc/"},
	"internal/dialect/":       {"database/sql", "modernc.org/", "github.com/jackc/"},
	"internal/server":         {"database/sql", "github.com/jackc/"},
	"internal/cli":            {"database/sql", "github.com/jackc/"},
	"client":                  {"database/sql"},
}

// longest returns the value of the longest key that is the package, or a prefix
// of it that ends in a slash.
func longest(m map[string][]string, pkg string) ([]string, bool) {
	best, found := "", false
	for key := range m {
		if (key == pkg || strings.HasSuffix(key, "/") && strings.HasPrefix(pkg, key)) && (!found || len(key) > len(best)) {
			best, found = key, true
		}
	}
	return m[best], found
}

func TestPackagesImportOnlyWhatTheyMay(t *testing.T) {
	root := filepath.Join("..", "..")
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != root && d.Name() != ".." || d.Name() == "node_modules" || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(rel))
		f, err := parser.ParseFile(fset, path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		may, listed := longest(allowed, pkg)
		if !listed {
			t.Errorf("%s is a package that the layout does not know: add it to allowed in this test", pkg)
		}
		never, _ := longest(forbidden, pkg)
		for _, imp := range f.Imports {
			name := strings.Trim(imp.Path.Value, `"`)
			for _, n := range never {
				if name == n || strings.HasSuffix(n, "/") && strings.HasPrefix(name, n) {
					t.Errorf("%s imports %s, which %s must not know of", rel, name, pkg)
				}
			}
			own, ok := strings.CutPrefix(name, "roster/")
			if !ok || own == pkg {
				continue
			}
			fits := false
			for _, m := range may {
				fits = fits || own == m || strings.HasSuffix(m, "/") && strings.HasPrefix(own, m)
			}
			if !fits {
				t.Errorf("%s imports %s: that arrow is not in the layout", rel, own)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNoPackageIsNamedForNothing(t *testing.T) {
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case "util", "utils", "common", "model", "models", "types", "service", "services", "helpers", "base":
				if _, err := os.Stat(filepath.Join(path, d.Name()+".go")); err == nil {
					t.Errorf("%s says nothing about what is in it", path)
				}
			case ".git", "node_modules":
				return fs.SkipDir
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
