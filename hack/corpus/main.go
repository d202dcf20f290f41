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
	"regexp"
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
	var t tools
	flag.StringVar(&t.cosign2, "cosign2", "", "the cosign v2 binary")
	flag.StringVar(&t.cosign3, "cosign3", "", "the cosign v3 binary")
	flag.StringVar(&t.timestamps, "timestamp-server", "", "the timestamp authority's binary")
	flag.StringVar(&t.fulcio, "fulcio", "", "the certificate authority's binary")
	flag.StringVar(&t.rekor, "rekor-server", "", "the binary of Rekor v2 with storage in files")
	out := flag.String("out", "", "the corpus's folder; its cases are replaced")
	group := flag.String("group", "", "makes the cases and signers of one group alone: keys, certificates or keyless")
	only := flag.String("only", "", "of these, makes the cases alone whose names match the regular expression")
	verbose := flag.Bool("v", false, "print what the tools answer to the checks")
	flag.Parse()
	if slices.Contains([]string{t.cosign2, t.cosign3, t.timestamps, t.fulcio, t.rekor, *out}, "") {
		return errors.New("expected -cosign2, -cosign3, -timestamp-server, -fulcio, -rekor-server and -out")
	}
	scratch, err := os.MkdirTemp("", "corpus")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	w := &workshop{tools: t, out: *out, scratch: scratch, verbose: *verbose}
	wanted, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.stop()) }()
	var failures error
	for _, g := range groups() {
		if *group != "" && *group != g.name {
			continue
		}
		if err := g.signers(w, ctx); err != nil {
			return fmt.Errorf("signers of %s: %w", g.name, err)
		}
		for _, c := range g.cases() {
			if !wanted.MatchString(c.name) {
				continue
			}
			if err := w.make(ctx, c); err != nil {
				failures = errors.Join(failures, fmt.Errorf("%s: %w", c.name, err))
				continue
			}
			fmt.Println(c.name)
		}
		if err := w.stop(); err != nil {
			return err
		}
	}
	return failures
}

// tools are the real programs.
type tools struct{ cosign2, cosign3, timestamps, fulcio, rekor string }

// group is a part of the corpus that has signers of its own.
type group struct {
	name    string
	signers func(*workshop, context.Context) error
	cases   func() []corpusCase
}

func groups() []group {
	return []group{
		{"keys", (*workshop).makeSigners, cases},
		{"certificates", (*workshop).makeAuthorities, certificateCases},
		{"keyless", (*workshop).startSigstore, keylessCases},
	}
}

// workshop has the tools, and the signers that the cases share.
type workshop struct {
	tools       tools
	out         string
	scratch     string // private keys live here, and go with it
	leaves      map[string]fixture.Leaf
	authorities map[string]fixture.Authority
	stamps      string // the timestamp authority's URL
	issuer      *issuer
	services    []*service
	verbose     bool // print what the tools answer
}

// keyKinds are the keys by file name.
var keyKinds = map[string]fixture.KeyKind{
	"release": fixture.P256, "security": fixture.P256, "stranger": fixture.P256, "builder": fixture.P256, "auditor": fixture.P256,
	"p384": fixture.P384, "p521": fixture.P521, "rsa2048": fixture.RSA2048, "rsa4096": fixture.RSA4096, "ed25519": fixture.Ed25519,
}

// bench is the place where one case is made.
type bench struct {
	*workshop
	registry  *fixture.Registry
	elsewhere string // see corpusCase
	made      []string
}

type corpusCase struct {
	name, description string
	noReferrers       bool   // the registry has no referrers API
	elsewhere         string // the folder, and repository, that has the signatures
	make              func(context.Context, *bench) (fixture.Image, []fixture.Check, error)
}

func (w *workshop) make(ctx context.Context, c corpusCase) error {
	registry, err := fixture.NewRegistry(fixture.Options{Referrers: !c.noReferrers})
	if err != nil {
		return err
	}
	defer registry.Close()
	b := &bench{workshop: w, registry: registry, elsewhere: c.elsewhere}
	image, checks, err := c.make(ctx, b)
	if err != nil {
		return err
	}
	var disagree error
	for i, k := range checks {
		if err := b.agree(ctx, image, k); err != nil {
			disagree = errors.Join(disagree, fmt.Errorf("check %d: %w", i, err))
		}
	}
	if disagree != nil {
		return disagree
	}
	dir := filepath.Join(w.out, c.name)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := registry.SaveLayout(ctx, image.Reference.Repository().Path(), dir); err != nil {
		return err
	}
	if c.elsewhere != "" {
		if err := registry.SaveLayout(ctx, c.elsewhere, filepath.Join(dir, c.elsewhere), image); err != nil {
			return err
		}
	}
	return fixture.Case{
		Dir: dir, Name: c.name, Description: c.description, Made: b.made, Tag: image.Reference.Tag(), Digest: image.Digest.String(),
		Repository: image.Reference.Repository().String(), Checks: checks,
	}.Write()
}

// run runs a cosign with the image last, and notes the command.
func (b *bench) run(ctx context.Context, tool string, image fixture.Image, args ...string) error {
	place := ""
	if b.elsewhere != "" {
		place = "COSIGN_REPOSITORY=" + b.elsewhere + " "
	}
	b.made = append(b.made, place+b.named(tool+" "+strings.Join(args, " ")+" $IMAGE"))
	out, err := b.execute(ctx, tool, append(slices.Clone(args), image.Pinned().String()), b.placed(b.elsewhere)...)
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", tool, strings.Join(args, " "), err, out)
	}
	return nil
}

// named puts names in place of what only this run knows.
func (b *bench) named(command string) string {
	for _, s := range b.services {
		command = strings.ReplaceAll(command, s.url, "$"+strings.ToUpper(s.name))
	}
	return token.ReplaceAllString(command, "--identity-token $$TOKEN")
}

var token = regexp.MustCompile(`--identity-token \S+`)

func (w *workshop) execute(ctx context.Context, tool string, args []string, env ...string) ([]byte, error) {
	binary := map[string]string{"cosign2": w.tools.cosign2, "cosign3": w.tools.cosign3}[tool]
	cmd := exec.CommandContext(ctx, binary, args...) //nolint:gosec // the tools are the operator's own
	cmd.Dir = w.scratch
	cmd.Env = append(os.Environ(), "COSIGN_PASSWORD=", "COSIGN_EXPERIMENTAL=1", "HOME="+w.scratch, "TUF_ROOT="+w.scratch)
	cmd.Env = append(cmd.Env, env...)
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
