package rig

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/examples"
)

// An Example is a part of one of the examples, filled in.
type Example []examples.File

// FillExample fills a part of an example in, such as "policy".
func FillExample(tb testing.TB, folder, part string, v examples.Values) Example {
	tb.Helper()
	files, err := examples.Fill(folder, part, v)
	if err != nil {
		tb.Fatal(err)
	}
	return files
}

// Write writes the files into a folder, in the place of those it has.
func (e Example) Write(tb testing.TB, folder string) {
	tb.Helper()
	for _, f := range e {
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(f.Name)), f.Content, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
}

// Documents returns the YAML documents of the files, in their order; given
// kinds, those of the kinds, in the order of the kinds. A kind of which there is
// none fails tb.
func (e Example) Documents(tb testing.TB, kinds ...string) []string {
	tb.Helper()
	var all []string
	for _, f := range e {
		all = append(all, strings.Split(string(f.Content), "\n---\n")...)
	}
	if len(kinds) == 0 {
		return all
	}
	var some []string
	for _, kind := range kinds {
		before := len(some)
		for _, document := range all {
			if strings.Contains(document, "\nkind: "+kind+"\n") {
				some = append(some, document)
			}
		}
		if len(some) == before {
			tb.Fatalf("expected a %s in the example, got none", kind)
		}
	}
	return some
}
