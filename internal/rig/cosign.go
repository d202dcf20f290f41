package rig

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A Cosign is the cosign command in a folder of its own, which is also its home
// folder, so that it finds neither credentials nor caches.
type Cosign struct {
	Folder      string
	Environment []string // of the command, beside the test's own

	executable string
}

// NewCosign makes the folder, which goes when tb ends.
func NewCosign(tb testing.TB) *Cosign {
	tb.Helper()
	executable, err := Binary(context.WithoutCancel(tb.Context()), "cosign")
	if err != nil {
		tb.Fatal(err)
	}
	return &Cosign{Folder: tb.TempDir(), executable: executable}
}

// Run runs the command in the folder and returns what it printed on both
// outputs. An error that has an exit code is cosign's own.
func (c *Cosign) Run(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, c.executable, args...) // #nosec G204 -- the executable is one that this package built
	cmd.Dir = c.Folder
	cmd.Env = append(os.Environ(), "HOME="+c.Folder, "COSIGN_PASSWORD=", "TUF_ROOT="+c.Folder)
	cmd.Env = append(cmd.Env, c.Environment...)
	return cmd.CombinedOutput()
}

// MustRun is Run for commands that a test needs to succeed.
func (c *Cosign) MustRun(tb testing.TB, args ...string) []byte {
	tb.Helper()
	out, err := c.Run(tb.Context(), args...)
	if err != nil {
		tb.Fatalf("cosign %q: %v\n%s", args, err, out)
	}
	return out
}

// ImportKey writes NAME.key, which cosign signs with, and NAME.pub.
func (c *Cosign) ImportKey(tb testing.TB, name string, key crypto.Signer) {
	tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	plain := filepath.Join(c.Folder, name+".pem")
	if err := os.WriteFile(plain, pemOf("PRIVATE KEY", der), 0o600); err != nil {
		tb.Fatal(err)
	}
	c.MustRun(tb, "import-key-pair", "--key", plain, "--output-key-prefix", name, "-y")
}

// Write writes a file into the folder, such as a predicate, and returns its
// name.
func (c *Cosign) Write(tb testing.TB, name string, content []byte) string {
	tb.Helper()
	if err := os.WriteFile(filepath.Join(c.Folder, name), content, 0o600); err != nil {
		tb.Fatal(fmt.Errorf("write for cosign: %w", err))
	}
	return name
}
