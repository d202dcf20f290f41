// Command corpus makes testdata/corpus anew: small images signed by real
// releases of cosign and by notation-go, as OCI image layouts, each with what a
// verifier has to say about it. It asks the tools themselves whether they agree
// before it writes a case. make.sh runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	cosign2 := flag.String("cosign2", "", "the cosign v2 binary")
	cosign3 := flag.String("cosign3", "", "the cosign v3 binary")
	out := flag.String("out", "", "the corpus's folder; its cases are replaced")
	flag.Parse()
	if *cosign2 == "" || *cosign3 == "" || *out == "" {
		return errors.New("expected -cosign2, -cosign3 and -out")
	}
	scratch, err := os.MkdirTemp("", "corpus")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	w := &workshop{cosign: map[string]string{"cosign2": *cosign2, "cosign3": *cosign3}, out: *out, scratch: scratch}
	if err := w.makeSigners(ctx); err != nil {
		return err
	}
	for _, c := range cases() {
		if err := w.make(ctx, c); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		fmt.Println(c.name)
	}
	return nil
}

// workshop has the tools, and the signers that the cases share.
type workshop struct {
	cosign  map[string]string // "cosign2", "cosign3" → binary
	out     string
	scratch string // private keys live here, and go with it
	leaves  map[string]fixture.Leaf
}

// keyKinds are the keys by file name.
var keyKinds = map[string]fixture.KeyKind{
	"release": fixture.P256, "security": fixture.P256, "stranger": fixture.P256, "builder": fixture.P256, "auditor": fixture.P256,
	"p384": fixture.P384, "p521": fixture.P521, "rsa2048": fixture.RSA2048, "rsa4096": fixture.RSA4096, "ed25519": fixture.Ed25519,
}

// bench is the place where one case is made.
type bench struct {
	*workshop
	registry *fixture.Registry
	made     []string
}

type corpusCase struct {
	name, description string
	noReferrers       bool // the registry has no referrers API
	make              func(context.Context, *bench) (fixture.Image, []fixture.Check, error)
}

func (w *workshop) make(ctx context.Context, c corpusCase) error {
	registry, err := fixture.NewRegistry(fixture.Options{Referrers: !c.noReferrers})
	if err != nil {
		return err
	}
	defer registry.Close()
	b := &bench{workshop: w, registry: registry}
	image, checks, err := c.make(ctx, b)
	if err != nil {
		return err
	}
	for i, k := range checks {
		if err := b.agree(ctx, image, k); err != nil {
			return fmt.Errorf("check %d: %w", i, err)
		}
	}
	dir := filepath.Join(w.out, c.name)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := registry.SaveLayout(ctx, image.Reference.Repository().Path(), dir); err != nil {
		return err
	}
	return fixture.Case{
		Dir: dir, Name: c.name, Description: c.description, Made: b.made, Tag: image.Reference.Tag(), Digest: image.Digest.String(),
		Repository: image.Reference.Repository().String(), Checks: checks,
	}.Write()
}

// run runs a cosign with the image last, and notes the command.
func (b *bench) run(ctx context.Context, tool string, image fixture.Image, args ...string) error {
	b.made = append(b.made, tool+" "+strings.Join(args, " ")+" $IMAGE")
	out, err := b.execute(ctx, tool, append(slices.Clone(args), image.Pinned().String()))
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", tool, strings.Join(args, " "), err, out)
	}
	return nil
}

func (w *workshop) execute(ctx context.Context, tool string, args []string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, w.cosign[tool], args...) //nolint:gosec // the tools are the operator's own
	cmd.Dir = w.scratch
	cmd.Env = append(os.Environ(), "COSIGN_PASSWORD=", "HOME="+w.scratch)
	return cmd.CombinedOutput()
}

// The offline forms of signing with a key.
func sign2(key string, more ...string) []string {
	return append([]string{"sign", "--key", key + ".key", "--tlog-upload=false", "--allow-http-registry", "-y"}, more...)
}

func sign3(bundle bool, key string, more ...string) []string {
	args := []string{"sign", "--key", key + ".key", "--tlog-upload=false", "--use-signing-config=false", fmt.Sprintf("--new-bundle-format=%t", bundle), "--allow-http-registry", "-y"}
	return append(args, more...)
}
