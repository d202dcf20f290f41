package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

// The two issuers of identities: people's, and a CI system's whose tokens are as
// GitHub's.
const (
	people  = "people"
	actions = "actions"
)

// logName is what the transparency log calls itself.
const logName = "rekor.example"

// startSigstore starts a Sigstore of its own: a certificate authority, a
// transparency log and a timestamp authority. sigstore/root.json trusts it.
func (w *workshop) startSigstore(ctx context.Context) error {
	if err := w.folder("sigstore"); err != nil {
		return err
	}
	if err := w.makeTimestamps("sigstore", timestamps); err != nil {
		return err
	}
	if err := w.startTimestamps(ctx); err != nil {
		return err
	}
	fulcio, err := w.startFulcio(ctx)
	if err != nil {
		return err
	}
	rekor, err := w.startRekor(ctx)
	if err != nil {
		return err
	}
	trusted := []string{
		"--fulcio", "url=https://fulcio.example,certificate-chain=fulcio.pem",
		"--tsa", "url=https://timestamps.example,certificate-chain=" + timestamps + ".pem",
	}
	since := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	logged := append(trusted, "--rekor", "url=https://"+logName+",public-key=rekor.pub,origin="+logName+",start-time="+since)
	for name, args := range map[string][]string{"root": logged, "unlogged": trusted} {
		if err := w.trust(ctx, "sigstore", name+".json", args...); err != nil {
			return err
		}
	}
	key, err := fixture.NewKey(fixture.P256)
	if err != nil {
		return err
	}
	public, err := w.importKey(ctx, "logged", key)
	if err != nil {
		return err
	}
	if err := w.public("sigstore", "logged.pub", public); err != nil {
		return err
	}
	return w.configure(ctx, since, fulcio, rekor)
}

// configure writes what tells cosign of the services: all of them, and all but
// the log.
func (w *workshop) configure(ctx context.Context, since string, fulcio, rekor *service) error {
	entry := func(flag, url string, version int) []string {
		return []string{"--" + flag, fmt.Sprintf("url=%s,api-version=%d,start-time=%s,operator=acme.example", url, version, since)}
	}
	args := []string{"signing-config", "create", "--tsa-config", "ANY"}
	args = append(args, entry("fulcio", fulcio.url, 1)...)
	args = append(args, entry("tsa", w.stamps, 1)...)
	args = append(args, entry("oidc-provider", w.issuer.url(people), 1)...)
	logged := append(append([]string{}, args...), append(entry("rekor", rekor.url, 2), "--rekor-config", "ANY")...)
	for name, args := range map[string][]string{"config.json": logged, "unlogged-config.json": args} {
		if out, err := w.execute(ctx, "cosign3", append(args, "--out", name)); err != nil {
			return fmt.Errorf("make the signing configuration: %w\n%s", err, out)
		}
	}
	return nil
}

func (w *workshop) startFulcio(ctx context.Context) (*service, error) {
	var err error
	if w.issuer, err = newIssuer(); err != nil {
		return nil, err
	}
	authority, err := newSigningAuthority("sigstore")
	if err != nil {
		return nil, err
	}
	if err := w.share("sigstore", "fulcio.pem", chainPEM(authority.Chain)); err != nil {
		return nil, err
	}
	if err := w.private("fulcio.key", authority.Key); err != nil {
		return nil, err
	}
	config := "oidc-issuers:\n"
	for who, kind := range map[string]string{people: "email", actions: "github-workflow"} {
		config += fmt.Sprintf("  %[1]s: {issuer-url: %[1]q, client-id: sigstore, type: %[2]s}\n", w.issuer.url(who), kind)
	}
	if err := os.WriteFile(filepath.Join(w.scratch, "fulcio.yaml"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	return w.serve(ctx, serviceSpec{name: "fulcio", binary: w.tools.fulcio, ready: "/healthz", args: func(ports [3]string) []string {
		return []string{
			"serve", "--host", "127.0.0.1", "--port", ports[0], "--grpc-host", "127.0.0.1", "--grpc-port", ports[1], "--metrics-port", ports[2],
			"--ca", "fileca", "--fileca-cert", "fulcio.pem", "--fileca-key", "fulcio.key", "--fileca-key-passwd", "none", "--fileca-watch=false", "--ct-log-url=",
			"--config-path", "fulcio.yaml", "--legacy-unix-domain-socket", filepath.Join(w.scratch, "fulcio.sock"),
		}
	}})
}

func (w *workshop) startRekor(ctx context.Context) (*service, error) {
	key, err := fixture.NewKey(fixture.Ed25519)
	if err != nil {
		return nil, err
	}
	if err := w.private("rekor.key", key); err != nil {
		return nil, err
	}
	if err := w.share("sigstore", "rekor.pub", key.PublicPEM); err != nil {
		return nil, err
	}
	return w.serve(ctx, serviceSpec{name: "rekor", binary: w.tools.rekor, ready: "/healthz", args: func(ports [3]string) []string {
		return []string{
			"serve", "--http-address", "127.0.0.1", "--http-port", ports[0], "--grpc-address", "127.0.0.1", "--grpc-port", ports[1], "--http-metrics-port", ports[2],
			"--hostname", logName, "--storage-dir", filepath.Join(w.scratch, "rekor"), "--signer-filepath", "rekor.key", "--checkpoint-interval", "1s",
		}
	}})
}

// Who asks for a certificate.
var (
	person = map[string]any{"sub": "1", "email": developer, "email_verified": true}
	// A workflow of the repository itself, and one of another that it calls.
	ownWorkflow    = workflow("acme/app/.github/workflows/release.yaml@refs/heads/main")
	sharedWorkflow = workflow("acme/workflows/.github/workflows/release.yaml@refs/tags/v1")
)

const (
	forge          = "https://github.com/"
	ownIdentity    = forge + "acme/app/.github/workflows/release.yaml@refs/heads/main"
	sharedIdentity = forge + "acme/workflows/.github/workflows/release.yaml@refs/tags/v1"
)

// workflow is what GitHub says in the token of a run of acme/app.
func workflow(ref string) map[string]any {
	const commit = "7fd1a60b01f91b314f59955a4e4d4e80d8edf11d"
	return map[string]any{
		"sub": "repo:acme/app:ref:refs/heads/main", "job_workflow_ref": ref, "job_workflow_sha": commit, "sha": commit, "event_name": "push",
		"repository": "acme/app", "repository_id": "1", "repository_owner": "acme", "repository_owner_id": "2", "repository_visibility": "public",
		"workflow": "release", "ref": "refs/heads/main", "workflow_ref": "acme/app/.github/workflows/release.yaml@refs/heads/main", "workflow_sha": commit,
		"runner_environment": "github-hosted", "run_id": "3", "run_attempt": "1",
	}
}

// keylessCase is a case whose checks know the issuers' addresses.
type keylessCase struct {
	name, description string
	issuer            string
	claims            map[string]any
	config            string // of cosign: config.json or unlogged-config.json
	attest            bool
	checks            func(vouched func(issuer, identity string) fixture.CaseSigner) []fixture.Check
}

func (c keylessCase) make(ctx context.Context, b *bench) (fixture.Image, []fixture.Check, error) {
	image, err := b.registry.PushImage(ctx, "acme/app:v1", "a")
	if err != nil {
		return fixture.Image{}, nil, err
	}
	checks := c.checks(func(issuer, identity string) fixture.CaseSigner {
		return fixture.CaseSigner{Issuer: b.issuer.url(issuer), Identity: identity, Log: true, Timestamps: true, TrustedRoot: "sigstore/root.json"}
	})
	return image, checks, b.keyless(ctx, image, c)
}

// keyless signs or attests with a certificate made for it.
func (b *bench) keyless(ctx context.Context, image fixture.Image, c keylessCase) error {
	identity, err := b.issuer.token(c.issuer, c.claims)
	if err != nil {
		return err
	}
	args := []string{"sign"}
	if c.attest {
		if err := b.writePredicates(); err != nil {
			return err
		}
		args = []string{"attest", "--type", "slsaprovenance1", "--predicate", "slsa1.json"}
	}
	return b.run(ctx, "cosign3", image, append(args, "--identity-token", identity, "--signing-config", c.config, "--trusted-root", "root.json", "--allow-http-registry", "-y")...)
}

func keylessCases() []corpusCase {
	with := func(s fixture.CaseSigner, change func(*fixture.CaseSigner)) fixture.CaseSigner {
		change(&s)
		return s
	}
	unlogged := func(s *fixture.CaseSigner) { s.Log = false }
	elsewhere := func(s *fixture.CaseSigner) { s.TrustedRoot = "authorities/acme-timestamps.json"; s.Log = false }
	from := func(repository string) func(*fixture.CaseSigner) {
		return func(s *fixture.CaseSigner) { s.SourceRepository = forge + repository }
	}
	says := func(name, value string) func(*fixture.CaseSigner) {
		return func(s *fixture.CaseSigner) { s.Extensions = map[string]string{name: value} }
	}
	type who = func(issuer, identity string) fixture.CaseSigner
	var cases []corpusCase
	for _, c := range []keylessCase{
		{name: "keyless", description: "A keyless bundle by a person, logged by Rekor v2 and timestamped.", issuer: people, claims: person, config: "config.json", checks: func(by who) []fixture.Check {
			return []fixture.Check{
				yes(by(people, developer)), yes(with(by(people, developer), unlogged)),
				no(by(people, "other@acme.example"), "IdentityMismatch"), no(by(actions, developer), "IdentityMismatch"), no(with(by(people, developer), elsewhere), ""),
			}
		}},
		{name: "keyless-unlogged", description: "A keyless bundle that is in no log, timestamped.", issuer: people, claims: person, config: "unlogged-config.json", checks: func(by who) []fixture.Check {
			return []fixture.Check{no(by(people, developer), "LogEntryMissing"), yes(with(by(people, developer), unlogged)), no(with(by(people, "other@acme.example"), unlogged), "IdentityMismatch")}
		}},
		{name: "keyless-workflow", description: "A keyless bundle by a workflow.", issuer: actions, claims: ownWorkflow, config: "config.json", checks: func(by who) []fixture.Check {
			own := by(actions, ownIdentity)
			return []fixture.Check{
				yes(own), yes(with(own, from("acme/app"))), no(with(own, from("acme/other")), "IdentityMismatch"),
				yes(with(own, says("buildTrigger", "push"))), no(with(own, says("buildTrigger", "schedule")), "IdentityMismatch"),
				yes(with(own, says("runnerEnvironment", "github-hosted"))), foreign(no(with(own, says("runnerEnvironment", "self-hosted")), "IdentityMismatch"), notExtension), no(by(actions, sharedIdentity), "IdentityMismatch"), no(by(people, ownIdentity), "IdentityMismatch"),
			}
		}},
		{name: "keyless-shared-workflow", description: "A keyless bundle by a workflow of another repository.", issuer: actions, claims: sharedWorkflow, config: "config.json", checks: func(by who) []fixture.Check {
			shared := by(actions, sharedIdentity)
			return []fixture.Check{
				foreign(no(shared, "IdentityMismatch"), notSource), yes(with(shared, from("acme/app"))), no(with(shared, from("acme/workflows")), "IdentityMismatch"),
			}
		}},
		{name: "keyless-att", description: "A SLSA provenance v1 as a keyless bundle by a workflow.", issuer: actions, claims: ownWorkflow, config: "config.json", attest: true, checks: func(by who) []fixture.Check {
			of := func(k fixture.Check, kind string) fixture.Check {
				k.Attestation = kind
				return k
			}
			own := by(actions, ownIdentity)
			return []fixture.Check{
				foreign(no(own, "UnsupportedEvidence"), anyStatement), of(yes(own), slsa1), of(no(own, ""), vuln), of(no(by(actions, sharedIdentity), ""), slsa1), of(no(by(people, ownIdentity), ""), slsa1),
			}
		}},
	} {
		cases = append(cases, corpusCase{name: c.name, description: c.description, make: c.make})
	}
	return append(cases, loggedCases()...)
}

// loggedCases are signatures by keys and private certificates that Rekor v2
// logged.
func loggedCases() []corpusCase {
	key := func(root string, log, timestamps bool) fixture.CaseSigner {
		return fixture.CaseSigner{Key: "sigstore/logged.pub", Log: log, Timestamps: timestamps, TrustedRoot: "sigstore/" + root + ".json"}
	}
	sign := func(config string) []string {
		return []string{"sign", "--key", "logged.key", "--signing-config", config, "--trusted-root", "root.json", "--allow-http-registry", "-y"}
	}
	return []corpusCase{
		{name: "logged", description: "A bundle by a key, logged by Rekor v2 and timestamped.", make: signed("cosign3", []fixture.Check{
			yes(key("root", true, true)), yes(key("root", true, false)), yes(key("root", false, true)), yes(key("root", false, false)),
		}, sign("config.json"))},
		{name: "logged-not", description: "A bundle by a key that is in no log, timestamped.", make: signed("cosign3", []fixture.Check{
			no(key("root", true, true), "LogEntryMissing"), no(key("root", true, false), "LogEntryMissing"), yes(key("unlogged", false, true)),
		}, sign("unlogged-config.json"))},
		{name: "keyless-copied", description: "Another image's keyless bundle where this image's would be.", make: func(ctx context.Context, b *bench) (fixture.Image, []fixture.Check, error) {
			c := keylessCase{issuer: people, claims: person, config: "config.json"}
			by := fixture.CaseSigner{Issuer: b.issuer.url(people), Identity: developer, Log: true, Timestamps: true, TrustedRoot: "sigstore/root.json"}
			return copied([]fixture.Check{no(by, "SubjectMismatch")}, func(ctx context.Context, b *bench, other fixture.Image) error { return b.keyless(ctx, other, c) })(ctx, b)
		}},
	}
}
