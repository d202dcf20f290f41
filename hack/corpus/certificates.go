package main

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

// certificateForm is a way in which cosign stores a signature with a
// certificate.
type certificateForm struct {
	name, tool, how string
	bundle          bool
}

var certificateForms = []certificateForm{
	{"cosign2-cert", "cosign2", "by cosign v2", false},
	{"cosign3-cert", "cosign3", "by cosign v3", false},
	{"cosign3-bundle-cert", "cosign3", "as cosign v3's bundle", true},
}

// Why cosign answers otherwise.
const (
	notPinned    = "cosign is told of the identity in a bundle's certificate, not of the certificate"
	notStamped   = "cosign looks at timestamps only if they are required"
	notNeeded    = "cosign requires a timestamp only once the certificate has expired"
	notExtension = "cosign has no flag for this extension of the certificate"
	notSource    = "cosign does not look for what repository a shared workflow built"
	otherHash    = "cosign signs with the hash of the curve and verifies by a certificate with SHA-256"
	anyStatement = "cosign verify takes any statement of the key for a signature"
	preHashed    = "cosign signs with pre-hashed Ed25519 and verifies it as if it were not"
)

func crt(name string) string { return "authorities/" + name + ".crt" }

// pinned asks for one certificate, by a chain.
func pinned(name, chain string) fixture.CaseSigner {
	return fixture.CaseSigner{Certificate: crt(name), Chain: "authorities/" + chain + ".pem"}
}

// vouched asks for an identity that a chain's authority vouches for; any if it
// is empty.
func vouched(chain, identity string) fixture.CaseSigner {
	return fixture.CaseSigner{Chain: "authorities/" + chain + ".pem", Identity: identity}
}

func yes(s fixture.CaseSigner) fixture.Check { return fixture.Check{Signer: s, Outcome: "allowed"} }

func no(s fixture.CaseSigner, reason string) fixture.Check {
	return fixture.Check{Signer: s, Outcome: "denied", Reason: reason}
}

func foreign(k fixture.Check, why string) fixture.Check {
	k.Foreign = why
	return k
}

// rooted gives a trusted root, which has timestamp authorities.
func rooted(s fixture.CaseSigner, root string) fixture.CaseSigner {
	s.TrustedRoot = "authorities/" + root + ".json"
	return s
}

// stamped also wants a timestamp of an authority that the root names.
func stamped(s fixture.CaseSigner, root string) fixture.CaseSigner {
	s = rooted(s, root)
	s.Timestamps = true
	return s
}

// chain are the arguments that bring acme's chain along. With a bundle cosign v3
// writes it where version 0.3 has no place for it, and wants another flag to read
// it: see chainedCases.
func (f certificateForm) chain() []string {
	if f.bundle {
		return nil
	}
	return []string{"--certificate-chain", "acme.pem"}
}

// sign are the arguments that sign with a certificate.
func (f certificateForm) sign(name string, more ...string) []string {
	args := append([]string{"--certificate", name + ".crt"}, more...)
	if f.tool == "cosign2" {
		return sign2("certified-"+name, args...)
	}
	return sign3(f.bundle, "certified-"+name, args...)
}

func certificateCases() []corpusCase {
	var cases []corpusCase
	for _, f := range certificateForms {
		cases = append(cases, f.identities()...)
		cases = append(cases, f.times()...)
		cases = append(cases, f.attestation())
	}
	return slices.Concat(cases, chainedCases(), attachedCases(), placedCases())
}

func (f certificateForm) identities() []corpusCase {
	acme := f.chain()
	var cases []corpusCase
	add := func(name, description string, checks []fixture.Check, runs ...[]string) {
		cases = append(cases, corpusCase{name: f.name + name, description: description + ", " + f.how + ".", make: signed(f.tool, checks, runs...)})
	}
	// Its identity is the same.
	other := no(pinned("p384", "acme"), "")
	if f.bundle {
		other.Foreign = notPinned
	}
	usual := []fixture.Check{
		yes(pinned("release", "acme")), yes(vouched("acme", release)), yes(vouched("acme", "")),
		no(pinned("developer", "acme"), ""), other, no(vouched("acme", developer), "IdentityMismatch"),
		no(vouched("evil", release), "CertificateUntrusted"), no(pinned("evil", "evil"), ""),
	}
	add("", "A signature with a certificate", usual, f.sign("release", acme...))
	if !f.bundle {
		add("-alone", "A signature with a certificate without its chain", usual, f.sign("release"))
	}
	add("-email", "A signature with a certificate for an email address", []fixture.Check{
		yes(vouched("acme", developer)), no(vouched("acme", release), "IdentityMismatch"),
	}, f.sign("developer", acme...))
	add("-evil", "A signature with a certificate of another authority that names the same identity", []fixture.Check{
		no(vouched("acme", release), "CertificateUntrusted"), no(pinned("release", "acme"), ""), yes(vouched("evil", release)),
	}, f.sign("evil"))
	add("-server", "A signature with a certificate that is not for signing code", []fixture.Check{
		no(vouched("acme", release), "CertificateInvalid"),
	}, f.sign("server"))
	add("-two", "Two signatures with certificates", []fixture.Check{
		yes(vouched("acme", release)), yes(vouched("acme", developer)), no(vouched("evil", ""), "CertificateUntrusted"),
	}, f.sign("release", acme...), f.sign("developer", acme...))
	claim := func(s fixture.CaseSigner, stage string) fixture.CaseSigner {
		s.Annotations = map[string]string{"stage": stage}
		return s
	}
	add("-annotations", "A signature with a certificate and a claim", []fixture.Check{
		yes(vouched("acme", release)), yes(claim(vouched("acme", release), "prod")), no(claim(vouched("acme", release), "test"), ""),
	}, f.sign("release", append([]string{"-a", "stage=prod"}, acme...)...))
	for _, kind := range []string{"p384", "p521", "rsa2048", "ed25519"} {
		why := ""
		switch {
		case kind == "ed25519":
			why = preHashed
		case !f.bundle && kind != "rsa2048":
			why = otherHash
		}
		add("-"+kind, "A signature with a certificate for another kind of key", []fixture.Check{
			foreign(yes(pinned(kind, "acme")), why), foreign(yes(vouched("acme", release)), why), no(pinned("developer", "acme"), ""),
		}, f.sign(kind, acme...))
	}
	cases = append(cases, corpusCase{
		name: f.name + "-copied", description: "Another image's signature with a certificate, " + f.how + ", where this image's would be.",
		make: copied([]fixture.Check{no(vouched("acme", release), "SubjectMismatch"), no(pinned("release", "acme"), "SubjectMismatch")},
			func(ctx context.Context, b *bench, image fixture.Image) error {
				return b.run(ctx, f.tool, image, f.sign("release", acme...)...)
			}),
	})
	return cases
}

// hurry is how long a short-lived certificate lives: long enough to sign.
const hurry = 4 * time.Second

func (f certificateForm) times() []corpusCase {
	stamping := func(name string, checks []fixture.Check) func(context.Context, *bench) (fixture.Image, []fixture.Check, error) {
		return func(ctx context.Context, b *bench) (fixture.Image, []fixture.Check, error) {
			return signed(f.tool, checks, f.sign(name, append(f.chain(), "--timestamp-server-url", b.stamps)...))(ctx, b)
		}
	}
	acme := vouched("acme", release)
	unstamped := no(stamped(acme, "acme-timestamps"), "TimestampMissing")
	if !f.bundle {
		unstamped.Foreign = notNeeded
	}
	return []corpusCase{
		{name: f.name + "-timestamp", description: "A signature with a certificate and a timestamp, " + f.how + ".", make: stamping("release", []fixture.Check{
			yes(stamped(acme, "acme-timestamps")), yes(rooted(acme, "acme-timestamps")), yes(acme),
			yes(stamped(pinned("release", "acme"), "acme-timestamps")),
			no(stamped(acme, "acme-strange"), ""), no(stamped(vouched("evil", release), "evil-timestamps"), "CertificateUntrusted"),
		})},
		{name: f.name + "-unstamped", description: "A signature with a certificate and no timestamp, " + f.how + ".", make: signed(f.tool, []fixture.Check{
			unstamped, yes(rooted(acme, "acme-timestamps")),
		}, f.sign("release", f.chain()...))},
		{name: f.name + "-expired", description: "A signature with a certificate that had expired, " + f.how + ".", make: signed(f.tool, []fixture.Check{
			no(acme, "CertificateInvalid"), no(pinned("expired", "acme"), "CertificateInvalid"), no(rooted(acme, "acme-timestamps"), "CertificateInvalid"),
		}, f.sign("expired"))},
		{name: f.name + "-late", description: "A signature with a certificate that had expired, timestamped after it did, " + f.how + ".", make: stamping("expired", []fixture.Check{
			no(stamped(acme, "acme-timestamps"), ""), no(rooted(acme, "acme-timestamps"), ""), no(acme, "CertificateInvalid"),
		})},
		{name: f.name + "-short", description: "A signature timestamped while its certificate was valid, which it no longer is, " + f.how + ".", make: f.short(stamping)},
	}
}

// short makes a short-lived certificate and waits until it has expired.
func (f certificateForm) short(stamping func(string, []fixture.Check) func(context.Context, *bench) (fixture.Image, []fixture.Check, error)) func(context.Context, *bench) (fixture.Image, []fixture.Check, error) {
	return func(ctx context.Context, b *bench) (fixture.Image, []fixture.Check, error) {
		until := time.Now().Add(hurry)
		if err := b.certify(ctx, certified{name: f.name + "-short", edit: func(c *x509.Certificate) {
			c.URIs, c.NotAfter = named(release), until
		}}); err != nil {
			return fixture.Image{}, nil, err
		}
		acme := vouched("acme", release)
		image, checks, err := stamping(f.name+"-short", []fixture.Check{
			yes(stamped(acme, "acme-timestamps")), foreign(yes(rooted(acme, "acme-timestamps")), notStamped),
			no(acme, "CertificateInvalid"), no(stamped(acme, "acme-strange"), ""),
		})(ctx, b)
		if err != nil {
			return fixture.Image{}, nil, err
		}
		expired := time.NewTimer(time.Until(until.Add(time.Second)))
		defer expired.Stop()
		select {
		case <-expired.C:
			return image, checks, nil
		case <-ctx.Done():
			return fixture.Image{}, nil, ctx.Err()
		}
	}
}

func (f certificateForm) attestation() corpusCase {
	return corpusCase{name: f.name + "-att", description: "A SLSA provenance v1 with a certificate, " + f.how + ".", make: func(ctx context.Context, b *bench) (fixture.Image, []fixture.Check, error) {
		image, err := b.registry.PushImage(ctx, "acme/app:v1", "a")
		if err != nil {
			return fixture.Image{}, nil, err
		}
		if err := b.writePredicates(); err != nil {
			return fixture.Image{}, nil, err
		}
		of := func(k fixture.Check, kind string) fixture.Check {
			k.Attestation = kind
			return k
		}
		unsigned := no(vouched("acme", release), "NotSigned")
		if f.bundle {
			unsigned = foreign(no(vouched("acme", release), "UnsupportedEvidence"), anyStatement)
		}
		return image, []fixture.Check{
			unsigned, of(yes(pinned("release", "acme")), slsa1), of(yes(vouched("acme", release)), slsa1), of(no(vouched("acme", release), ""), vuln),
			of(no(vouched("acme", developer), ""), slsa1), of(no(vouched("evil", release), ""), slsa1),
		}, b.run(ctx, f.tool, image, f.attest("release", "slsaprovenance1", "slsa1.json", f.chain()...)...)
	}}
}

// chainedCases have the chain in a bundle.
func chainedCases() []corpusCase {
	f := certificateForms[2]
	return []corpusCase{
		{name: f.name + "-chain", description: "A signature with a certificate and its chain, " + f.how + ".", make: signed(f.tool, []fixture.Check{
			yes(vouched("acme", release)), yes(pinned("release", "acme")), no(vouched("acme", developer), "IdentityMismatch"), no(vouched("evil", release), "CertificateUntrusted"),
		}, f.sign("release", "--certificate-chain", "acme.pem"))},
		{name: f.name + "-chain-evil", description: "A signature with a certificate and its chain by another authority, " + f.how + ".", make: signed(f.tool, []fixture.Check{
			no(vouched("acme", release), "CertificateUntrusted"), yes(vouched("evil", release)),
		}, f.sign("evil", "--certificate-chain", "evil.pem"))},
	}
}

// attest are the arguments that attest with a certificate.
func (f certificateForm) attest(name, kind, predicate string, more ...string) []string {
	args := []string{"attest", "--key", "certified-" + name + ".key", "--certificate", name + ".crt", "--type", kind, "--predicate", predicate, "--tlog-upload=false", "--allow-http-registry", "-y"}
	if f.tool == "cosign3" {
		args = append(args, "--use-signing-config=false", fmt.Sprintf("--new-bundle-format=%t", f.bundle))
	}
	return append(args, more...)
}
