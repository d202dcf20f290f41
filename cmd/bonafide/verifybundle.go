package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/sigstore"
	"github.com/bonafide-dev/bonafide/workload"
)

// verifyBundleOptions are the flags of verify-bundle.
type verifyBundleOptions struct {
	bundle  string
	signers signerFlags
	explain bool
	output  string
}

const verifyBundleLong = `Decide whether a Sigstore bundle holds a signature of a file, or a statement about it.

The file is named, or its digest. No registry and no Sigstore service is asked.
Any predicate type counts: whether the statement says what it should is for whoever reads it.

Exit codes: 0 allowed, 1 denied, 2 usage or configuration, 3 could not be decided.`

func newVerifyBundle() *cobra.Command {
	var o verifyBundleOptions
	c := &cobra.Command{
		Use:   "verify-bundle --bundle FILE FILE|sha256:DIGEST",
		Short: "Decide whether a Sigstore bundle is about a file",
		Long:  verifyBundleLong,
		Example: `  bonafide verify-bundle --bundle app.tar.gz.sigstore.json --key cosign.pub --trusted-root trusted_root.json app.tar.gz
  bonafide verify-bundle --bundle provenance.sigstore.json --trusted-root public-good \
    --certificate-identity https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main \
    --certificate-oidc-issuer https://token.actions.githubusercontent.com sha256:…`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return hintError{fmt.Errorf("expected one file or digest, got %d", len(args)), "see " + c.CommandPath() + " --help"}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			return runVerifyBundle(c.Context(), o, args[0], streams{c.OutOrStdout(), c.ErrOrStderr()})
		},
	}
	f := c.Flags()
	f.StringVar(&o.bundle, "bundle", "", "Sigstore bundle `FILE`")
	o.signers.register(f)
	f.BoolVar(&o.explain, "explain", false, "show what the signature rests on")
	f.StringVarP(&o.output, "output", "o", "text", "output format: text or json")
	return c
}

func (o verifyBundleOptions) check() error {
	switch {
	case o.output != "text" && o.output != "json":
		return fmt.Errorf("--output: expected text or json, got %q", o.output)
	case o.bundle == "":
		return errors.New("expected --bundle, got none")
	case o.signers.none():
		return hintError{errors.New("expected --key or --certificate-identity, got neither"), "say who must have signed, for example --key cosign.pub"}
	}
	return o.signers.check()
}

func runVerifyBundle(ctx context.Context, o verifyBundleOptions, name string, s streams) error {
	if err := o.check(); err != nil {
		return err
	}
	raw, err := dialect.ReadFile(o.bundle)
	if err != nil {
		return fmt.Errorf("--bundle: %w", err)
	}
	artifact, err := artifactNamed(ctx, name)
	if err != nil {
		return err
	}
	makers, err := signers(o.signers.trustedRoot, nil)
	if err != nil {
		return err
	}
	keeper := newKeeper(nil, nil, nil, nil)
	makers.Material = keeper
	named, err := fetched(ctx, keeper, func() ([]policy.Signature, error) { return o.signers.signers(makers) })
	if err != nil {
		return err
	}
	found := policy.Evaluate(ctx, anyOf(named), policy.Input{
		Facts: policy.SignatureFacts(func(n policy.Signature) policy.Leaf { return verifiedBundle(ctx, n.Signer, raw, artifact) }),
		Now:   time.Now(),
	})
	decision := engine.Decision{Images: []engine.ImageDecision{{
		Image: workload.Image{Ref: name}, Outcome: found.Outcome, Digest: digestNamed(artifact.Digest()),
		Policies: []engine.PolicyDecision{{
			Origin: policy.Origin{Dialect: "flags", Name: "command-line"}, Outcome: found.Outcome, Effective: found.Outcome, Finding: found,
		}},
	}}}
	shown := verifyOptions{output: o.output, explain: o.explain}
	if err := shown.print(decision, nil, s); err != nil {
		return err
	}
	return outcomeOf(decision)
}

// verifiedBundle is what one signer says of a bundle.
func verifiedBundle(ctx context.Context, s policy.Signer, raw []byte, artifact sigstore.Artifact) policy.Leaf {
	if u, is := s.(policy.Unavailable); is {
		return policy.Leaf{Problems: []*evidence.Problem{u.Unavailable()}}
	}
	verifier, is := s.(*sigstore.Signer)
	if !is {
		return policy.Leaf{Problems: []*evidence.Problem{{Reason: evidence.Internal, Expected: "a Sigstore signer", Got: s.Describe()}}}
	}
	proof, err := verifier.VerifyBundle(ctx, raw, artifact)
	if err == nil {
		return policy.Leaf{Outcome: policy.Allowed, Proofs: []policy.Proof{proof}}
	}
	leaf := policy.Leaf{Problems: []*evidence.Problem{evidence.ProblemOf(err)}}
	if !leaf.Problems[0].Undecided() {
		leaf.Outcome = policy.Denied
	}
	return leaf
}

// artifactNamed reads a file, unless it is a digest that is named.
func artifactNamed(ctx context.Context, name string) (sigstore.Artifact, error) {
	if digest, err := imageref.ParseDigest(name); err == nil {
		return sigstore.DigestArtifact(digest), nil
	}
	if strings.HasPrefix(name, "sha256:") || strings.HasPrefix(name, "sha512:") {
		return sigstore.Artifact{}, fmt.Errorf("expected a digest with all of its hexadecimal digits, got %q", name)
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return sigstore.Artifact{}, fmt.Errorf("expected a file, got %s, which is none", name)
	}
	file, err := os.Open(name)
	if err != nil {
		return sigstore.Artifact{}, fmt.Errorf("expected a file or a digest such as sha256:…: %w", err)
	}
	artifact, err := sigstore.NewArtifact(ctx, file)
	return artifact, errors.Join(err, file.Close())
}

func digestNamed(text string) imageref.Digest {
	digest, err := imageref.ParseDigest(text)
	if err != nil {
		return imageref.Digest{}
	}
	return digest
}
