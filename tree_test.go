package bonafide_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A sourcePackage is what the source of one folder says.
type sourcePackage struct {
	path        string   // relative to the module; "" is its root
	name        string   // of the code that is not a test; "" if there is none
	imports     []string // packages of this module, relative
	testImports []string // those of its tests
	comments    []string // package comments outside tests
}

// readTree parses the imports and package comments of every package of the
// module, whatever its build constraints, in the order of their paths. Nested
// modules are left out.
func readTree(t *testing.T) []sourcePackage {
	t.Helper()
	packages := map[string]*sourcePackage{}
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != "." && leaveOut(name, entry.Name()):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		folder := strings.TrimPrefix(path.Dir(filepath.ToSlash(name)), ".")
		p, known := packages[folder]
		if !known {
			p = &sourcePackage{path: folder}
			packages[folder] = p
		}
		return p.read(name)
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 2 {
		t.Fatalf("expected the module's packages, got %d", len(packages))
	}
	var all []sourcePackage
	for _, folder := range slices.Sorted(maps.Keys(packages)) {
		all = append(all, *packages[folder])
	}
	return all
}

func leaveOut(name, base string) bool {
	if base == "testdata" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	_, err := os.Stat(filepath.Join(name, "go.mod"))
	return err == nil
}

func (p *sourcePackage) read(name string) error {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly|parser.ParseComments)
	if err != nil {
		return err
	}
	test := strings.HasSuffix(name, "_test.go")
	if !test {
		p.name = file.Name.Name
		if file.Doc != nil {
			p.comments = append(p.comments, file.Doc.Text())
		}
	}
	for _, spec := range file.Imports {
		edge, ours := ownImport(spec)
		edges := &p.imports
		if test {
			edges = &p.testImports
		}
		if ours && !slices.Contains(*edges, edge) {
			*edges = append(*edges, edge)
		}
	}
	return nil
}

func ownImport(spec *ast.ImportSpec) (string, bool) {
	imported, err := strconv.Unquote(spec.Path.Value)
	if err != nil {
		return "", false
	}
	if imported == modulePath {
		return "", true
	}
	return strings.CutPrefix(imported, modulePath+"/")
}

// TestEachPackageHasOneComment keeps a package's duty in one place.
func TestEachPackageHasOneComment(t *testing.T) {
	for _, p := range readTree(t) {
		if p.name == "" { // tests alone
			continue
		}
		if len(p.comments) != 1 {
			t.Errorf("%s: want one package comment, got %d", p.path, len(p.comments))
			continue
		}
		want := "Package " + p.name + " "
		if p.name == "main" {
			want = "Command " + path.Base(p.path) + " "
		}
		if !strings.HasPrefix(p.comments[0], want) {
			t.Errorf("%s: want a comment that begins %q, got %.40q", p.path, want, p.comments[0])
		}
	}
}
