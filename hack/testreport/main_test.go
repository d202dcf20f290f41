package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	passing = `{"Action":"start","Package":"m/a"}
{"Action":"run","Package":"m/a","Test":"TestA"}
{"Action":"output","Package":"m/a","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"pass","Package":"m/a","Test":"TestA"}
{"Action":"output","Package":"m/a","Output":"PASS\n"}
{"Action":"output","Package":"m/a","Output":"ok  \tm/a\t0.1s\n"}
{"Action":"pass","Package":"m/a"}
`
	measuring = `{"Action":"output","Package":"m/m","Test":"TestM","Output":"    m_test.go:3: figures: 3 of 4 in 5 ms\n"}
{"Action":"output","Package":"m/m","Test":"TestM","Output":"    m_test.go:4: chatter\n"}
{"Action":"pass","Package":"m/m","Test":"TestM"}
`
	empty = `{"Action":"output","Package":"m/e","Output":"?   \tm/e\t[no test files]\n"}
{"Action":"skip","Package":"m/e"}
`
	skipping = `{"Action":"output","Package":"m/s","Test":"TestS","Output":"    s_test.go:3: not today\n"}
{"Action":"skip","Package":"m/s","Test":"TestS"}
{"Action":"output","Package":"m/s","Output":"ok  \tm/s\t0.1s\n"}
{"Action":"pass","Package":"m/s"}
`
	failing = `{"Action":"output","Package":"m/f","Test":"TestF","Output":"    f_test.go:3: the reason\n"}
{"Action":"fail","Package":"m/f","Test":"TestF"}
{"Action":"output","Package":"m/f","Output":"FAIL\tm/f\t0.1s\n"}
{"Action":"fail","Package":"m/f"}
`
	panicking = `{"Action":"run","Package":"m/p","Test":"TestP"}
{"Action":"output","Package":"m/p","Test":"TestP","Output":"panic: the reason\n"}
{"Action":"output","Package":"m/p","Output":"FAIL\tm/p\t0.1s\n"}
{"Action":"fail","Package":"m/p"}
`
	unbuildable = `{"ImportPath":"m/b","Action":"build-output","Output":"b.go:1: the reason\n"}
{"ImportPath":"m/b","Action":"build-fail"}
{"Action":"output","Package":"m/b","Output":"FAIL\tm/b [build failed]\n"}
{"Action":"fail","Package":"m/b","FailedBuild":"m/b"}
`
)

func TestReport(t *testing.T) {
	cases := map[string]struct {
		reason string
		in     string
		noSkip bool
		want   []string // what the report holds
		absent string
		fails  bool
	}{
		"Pass":          {reason: "all is well", in: passing + empty, want: []string{"ok  \tm/a\t0.1s\n", "[no test files]", "tests: 1 passed, 0 failed, 0 skipped in 2 packages"}, absent: "=== RUN"},
		"Figures":       {reason: "what a test has measured is shown", in: measuring, want: []string{"TestM: 3 of 4 in 5 ms\n"}, absent: "chatter"},
		"Fail":          {reason: "a failed test's output is shown", in: passing + failing, want: []string{"the reason", "FAIL\tm/f", "1 passed, 1 failed, 0 skipped"}, fails: true},
		"Panic":         {reason: "a test that never ended is shown", in: passing + panicking, want: []string{"panic: the reason"}, fails: true},
		"Build":         {reason: "a package that does not build fails", in: passing + unbuildable, want: []string{"b.go:1: the reason"}, fails: true},
		"SkipTolerated": {reason: "a skip is counted", in: passing + skipping, want: []string{"1 passed, 0 failed, 1 skipped"}},
		"SkipRefused":   {reason: "a skip is no pass", in: passing + skipping, noSkip: true, want: []string{"1 skipped"}, fails: true},
		"OnlySkips":     {reason: "nothing was tested", in: skipping, fails: true},
		"Nothing":       {reason: "an empty stream proves nothing", fails: true},
		"NotJSON":       {reason: "the go command's complaint is passed on", in: "go: cannot find main module\n", want: []string{"cannot find main module"}, fails: true},
		"CutShort":      {reason: "a test that failed counts although its package never ended", in: passing + `{"Action":"fail","Package":"m/f","Test":"TestF"}`, fails: true},
		"Unfinished":    {reason: "a package that never ended is no pass", in: passing + `{"Action":"start","Package":"m/u"}`, fails: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			err := run(strings.NewReader(tc.in), &out, options{title: "tests", noSkip: tc.noSkip})
			if failed := err != nil; failed != tc.fails {
				t.Errorf("%s: want failure=%t, got error %v", tc.reason, tc.fails, err)
			}
			for _, want := range tc.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%s: want %q in\n%s", tc.reason, want, out.String())
				}
			}
			if tc.absent != "" && strings.Contains(out.String(), tc.absent) {
				t.Errorf("%s: want no %q in\n%s", tc.reason, tc.absent, out.String())
			}
		})
	}
}

func TestLogHoldsTheClosingLines(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	var out strings.Builder
	for range 2 {
		if err := run(strings.NewReader(passing), &out, options{title: "tests", log: log}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	const one = "ok  \tm/a\t0.1s\ntests: 1 passed, 0 failed, 0 skipped in 1 packages\n"
	if string(got) != one+one {
		t.Errorf("want %q twice, got %q", one, got)
	}
}
