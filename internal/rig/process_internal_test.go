package rig

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestInterruptSaysHowTheChildEnded(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	const wait = "; echo ready; while :; do sleep 0.05; done"
	cases := map[string]struct {
		reason string
		script string
		code   int
	}{
		"Cleanly":   {reason: "it ends as it is asked to", script: "trap 'exit 0' INT" + wait},
		"Badly":     {reason: "it fails to clean up", script: "trap 'exit 3' INT" + wait, code: 3},
		"ByTheKill": {reason: "it knows no interrupt", script: "trap - INT" + wait, code: -1},
		"Before":    {reason: "it is gone before it is asked", script: "echo ready; exit 4", code: 4},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p, err := startProcess(t.Context(), t.TempDir(), shell, "-c", tc.script)
			if err != nil {
				t.Fatal(err)
			}
			defer p.stop()
			Eventually(t, "the child runs", func(context.Context) error {
				if log, err := os.ReadFile(p.log); err != nil || !strings.Contains(string(log), "ready") {
					return errors.Join(errors.New("it does not say so yet"), err)
				}
				return nil
			})
			if name == "Before" {
				<-p.done
			}
			code := 0
			err = p.interrupt()
			if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
				code = exit.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			if code != tc.code {
				t.Errorf("%s: want exit code %d, got %d", tc.reason, tc.code, code)
			}
		})
	}
}
