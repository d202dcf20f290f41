// Package dialecttest compares what a dialect makes of documents with what is
// written beside them in testdata.
package dialecttest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/dialect"
)

// Corpus compiles every file testdata/valid/*.yaml and testdata/invalid/*.yaml,
// each in a test of its own, and compares what came of it with the .txt of that
// name: the policies of valid files, as compile describes them, the errors of
// invalid ones. With update it writes the .txt first.
func Corpus(t *testing.T, update bool, compile func(t *testing.T, name, text string) (policies string, err error)) {
	t.Helper()
	for _, folder := range []string{"valid", "invalid"} {
		entries, err := os.ReadDir(filepath.Join("testdata", folder))
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			name, is := strings.CutSuffix(entry.Name(), ".yaml")
			if !is {
				continue
			}
			t.Run(folder+"/"+name, func(t *testing.T) {
				text, err := os.ReadFile(filepath.Join("testdata", folder, entry.Name()))
				if err != nil {
					t.Fatal(err)
				}
				got, err := compile(t, entry.Name(), string(text))
				if folder == "invalid" {
					if err == nil {
						t.Fatalf("expected errors, got the policies\n%s", got)
					}
					got = err.Error() + "\n"
				} else if err != nil {
					t.Fatalf("expected policies, got the errors\n%v", err)
				}
				Golden(t, update, filepath.Join("testdata", folder, name+".txt"), got)
			})
		}
	}
}

// Golden compares got with the content of file, which it writes first with
// update.
func Golden(t *testing.T, update bool, file, got string) {
	t.Helper()
	if update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("run the test with -update to write it: %v", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// Paths returns the fields that the errors of err are about, in the order of
// their lines; nil if err is nil. Each must have a file and a line.
func Paths(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var all dialect.Errors
	if !errors.As(err, &all) {
		t.Fatalf("expected dialect.Errors, got %T: %v", err, err)
	}
	found := []string{}
	for _, e := range all {
		if e.Line == 0 || e.File == "" {
			t.Errorf("expected an error with file and line, got %v", e)
		}
		found = append(found, e.Path)
	}
	return found
}
