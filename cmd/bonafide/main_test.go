package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/bonafide-dev/bonafide/internal/testca"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"bonafide": main}) }

// TestScripts runs the sessions of testdata/script: what a user types, and what
// comes back. $CORPUS holds images that the real tools signed.
func TestScripts(t *testing.T) {
	corpus, err := filepath.Abs("../../testdata/corpus")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("CORPUS", corpus)
			env.Setenv("NO_COLOR", "1")
			env.Setenv("DOCKER_CONFIG", env.WorkDir)
			env.Setenv("XDG_CACHE_HOME", env.WorkDir)
			env.Setenv("IDENTITY", testca.DefaultSubject)
			env.Setenv("OTHER", strings.Replace(testca.DefaultSubject, "/app/", "/other/", 1))
			env.Setenv("ISSUER", testca.DefaultIssuer)
			writeBundles(t, env.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"code": code},
	})
}

// code runs bonafide and checks its exit code: "code 3 bonafide verify …". The
// output can be looked at as after exec.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N program args...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = err.Error()
	}
	if want := "exit status " + args[0]; got != want && (args[0] != "0" || got != "0") {
		ts.Fatalf("exit code: want %q, got %q", want, got)
	}
}
