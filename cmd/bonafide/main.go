// Command bonafide decides whether container images may run: on the command
// line, and as a Kubernetes admission webhook.
//
// The package reads flags into one options struct per command and wires the
// parts by hand; it holds no logic of verification, and nothing imports it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/policy"
)

// The exit codes: a contract.
const (
	exitAllowed   = 0
	exitDenied    = 1 // an image is denied or unmatched
	exitUsage     = 2 // usage or configuration
	exitUndecided = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run executes one command and returns its exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var outcome outcomeError
	switch {
	case err == nil:
		return exitAllowed
	case errors.As(err, &outcome):
		return outcome.code()
	}
	printError(stderr, err)
	return exitUsage
}

// outcomeError carries a decision that is not "allowed" to the exit code. What
// there is to say has been printed.
type outcomeError policy.Outcome

func (e outcomeError) Error() string { return policy.Outcome(e).String() }

func (e outcomeError) code() int {
	switch policy.Outcome(e) {
	case policy.Allowed:
		return exitAllowed
	case policy.Denied, policy.Unmatched:
		return exitDenied
	case policy.Undecided:
	}
	return exitUndecided
}

// outcomeOf returns the error that gives a decision its exit code: denied or
// unmatched before undecided.
func outcomeOf(d engine.Decision) error {
	worst := d.Outcome()
	for _, i := range d.Images {
		if i.Outcome == policy.Denied || i.Outcome == policy.Unmatched {
			worst = policy.Denied
		}
	}
	if worst == policy.Allowed {
		return nil
	}
	return outcomeError(worst)
}

// hintError is an error with a remedy.
type hintError struct {
	err  error
	hint string
}

func (e hintError) Error() string { return e.err.Error() }
func (e hintError) Unwrap() error { return e.err }

// printError prints each cause as an "error:" line, then the remedies.
func printError(w io.Writer, err error) {
	for _, e := range causes(err) {
		fmt.Fprintf(w, "error: %s\n", strings.ReplaceAll(e.Error(), "\n", "\n       "))
	}
	var h hintError
	if errors.As(err, &h) {
		fmt.Fprintf(w, "hint: %s\n", h.hint)
	}
}

// causes lists what is wrong with policies one by one: each has its own file
// and line.
func causes(err error) []error {
	var policies dialect.Errors
	if errors.As(err, &policies) {
		return policies.Unwrap()
	}
	return []error{err}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "bonafide",
		Short:         "Only bona fide images run",
		Long:          "Bonafide decides whether container images may run, from the signatures attached to them,\nunder the policies that you have.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return hintError{err, "see " + c.CommandPath() + " --help"}
	})
	root.AddCommand(newVerify(), newVerifyBundle(), newServe(), newAudit(), newPolicy(), newWebhookConfig(), newDemo(), newVersion())
	return root
}

// version is set by the linker; a build with the go command alone knows its
// module version.
var version = ""

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(c.OutOrStdout(), "bonafide %s %s/%s %s\n", versionText(), runtime.GOOS, runtime.GOARCH, runtime.Version())
			return err
		},
	}
}

func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

// colourful reports whether w is a terminal on which colours are welcome.
func colourful(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd()))
}
