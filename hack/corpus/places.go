package main

import (
	"bytes"
	"context"
	"crypto"
	"encoding/base64"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	rfc3161 "github.com/digitorus/timestamp"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

// attachedCases are signatures that were made elsewhere, and attached.
func attachedCases() []corpusCase {
	acme := vouched("acme", release)
	attach := []string{"attach", "signature", "--payload", "payload.json", "--signature", "signature", "--allow-http-registry"}
	certified := append(attach, "--certificate", "release.crt", "--certificate-chain", "acme.pem")
	return []corpusCase{
		{name: "attached-cert", description: "A signature that cosign v3 attached with a certificate.", make: attached([]fixture.Check{
			yes(acme), yes(pinned("release", "acme")), no(vouched("evil", release), "CertificateUntrusted"),
		}, "certified-release", certified...)},
		{name: "attached-cert-stolen", description: "A signature by another key, attached with a certificate that is not its own.", make: attached([]fixture.Check{
			no(acme, ""), no(pinned("release", "acme"), ""),
		}, "certified-developer", certified...)},
		{name: "attached-cert-timestamp", description: "A signature that cosign v3 attached with a certificate and a timestamp.", make: attached([]fixture.Check{
			yes(stamped(acme, "acme-timestamps")), no(stamped(acme, "acme-strange"), ""),
		}, "certified-release", append(certified, "--tsr", "timestamp")...)},
	}
}

// attached signs without storing the signature and attaches it.
func attached(checks []fixture.Check, key string, args ...string) func(context.Context, *bench) (fixture.Image, []fixture.Check, error) {
	return func(ctx context.Context, b *bench) (fixture.Image, []fixture.Check, error) {
		image, err := b.registry.PushImage(ctx, "acme/app:v1", "a")
		if err != nil {
			return fixture.Image{}, nil, err
		}
		err = b.run(ctx, "cosign3", image, sign3(false, key, "--upload=false", "--output-payload", "payload.json", "--output-signature", "signature")...)
		if err != nil {
			return fixture.Image{}, nil, err
		}
		if args[len(args)-1] == "timestamp" {
			if err := b.stamp(ctx); err != nil {
				return fixture.Image{}, nil, err
			}
		}
		return image, checks, b.run(ctx, "cosign3", image, args...)
	}
}

// placedCases are signatures that are not where they usually are.
func placedCases() []corpusCase {
	acme := vouched("acme", release)
	const elsewhere = "signatures"
	with := func(s fixture.CaseSigner, repository, prefix string) fixture.CaseSigner {
		s.Repository, s.TagPrefix = repository, prefix
		return s
	}
	here, there := no(acme, "NotSigned"), yes(with(acme, elsewhere, ""))
	sign := certificateForms[1].sign("release", "--certificate-chain", "acme.pem")
	bundle := certificateForms[2].sign("release")
	prefixed := append(certificateForms[1].sign("release"), "--attachment-tag-prefix", "acme-")
	oci11 := []string{"--registry-referrers-mode=oci-1-1"}
	return []corpusCase{
		{name: "elsewhere-cosign2", description: "A signature by cosign v2 in another repository.", elsewhere: elsewhere, make: signed("cosign2", []fixture.Check{here, there}, certificateForms[0].sign("release"))},
		{name: "elsewhere-cosign3", description: "A signature by cosign v3 in another repository.", elsewhere: elsewhere, make: signed("cosign3", []fixture.Check{here, there, no(with(vouched("evil", release), elsewhere, ""), "CertificateUntrusted")}, sign)},
		{name: "elsewhere-cosign3-bundle", description: "A bundle in another repository.", elsewhere: elsewhere, make: signed("cosign3", []fixture.Check{here, there}, bundle)},
		{name: "elsewhere-cosign3-att", description: "A SLSA provenance in cosign v3's .att manifest in another repository.", elsewhere: elsewhere, make: placedAttestation(certificateForms[1], with(acme, elsewhere, ""))},
		{name: "elsewhere-cosign3-bundle-att", description: "A SLSA provenance as a bundle in another repository.", elsewhere: elsewhere, make: placedAttestation(certificateForms[2], with(acme, elsewhere, ""))},
		{name: "elsewhere-prefix", description: "A signature in another repository, under a tag with a prefix.", elsewhere: elsewhere, make: signed("cosign3", []fixture.Check{here, no(with(acme, elsewhere, ""), "NotSigned"), yes(with(acme, elsewhere, "acme-"))}, prefixed)},
		{name: "prefix", description: "A signature under a tag with a prefix.", make: signed("cosign3", []fixture.Check{here, yes(with(acme, "", "acme-"))}, prefixed)},
		{name: "cosign2-oci11", description: "A signature with a certificate as the referrer of cosign v2's experimental mode.", make: signed("cosign2", []fixture.Check{yes(acme), yes(pinned("release", "acme")), no(vouched("evil", release), "CertificateUntrusted")}, certificateForms[0].sign("release", oci11...))},
		{name: "cosign3-oci11", description: "A signature with a certificate as the referrer of cosign v3's experimental mode.", make: signed("cosign3", []fixture.Check{yes(acme), yes(pinned("release", "acme")), no(vouched("evil", release), "CertificateUntrusted")}, certificateForms[1].sign("release", oci11...))},
	}
}

func placedAttestation(f certificateForm, by fixture.CaseSigner) func(context.Context, *bench) (fixture.Image, []fixture.Check, error) {
	return func(ctx context.Context, b *bench) (fixture.Image, []fixture.Check, error) {
		image, err := b.registry.PushImage(ctx, "acme/app:v1", "a")
		if err != nil {
			return fixture.Image{}, nil, err
		}
		if err := b.writePredicates(); err != nil {
			return fixture.Image{}, nil, err
		}
		there, here := yes(by), no(vouched("acme", release), "")
		there.Attestation, here.Attestation = slsa1, slsa1
		return image, []fixture.Check{here, there}, b.run(ctx, f.tool, image, f.attest("release", "slsaprovenance1", "slsa1.json")...)
	}
}

// stamp has the signature in the scratch folder timestamped.
func (b *bench) stamp(ctx context.Context) error {
	signature, err := os.ReadFile(filepath.Join(b.scratch, "signature"))
	if err != nil {
		return err
	}
	response, err := timestamp(ctx, b.stamps, signature)
	if err != nil {
		return err
	}
	b.made = append(b.made, "the signature is timestamped by $TIMESTAMPS")
	return os.WriteFile(filepath.Join(b.scratch, "timestamp"), response, 0o600) //nolint:gosec // the folder is the workshop's own
}

// timestampAnswer bounds a timestamp authority's answer: the authority is ours.
const timestampAnswer = 64 << 10

// timestamp asks an authority to timestamp a signature in base64 (RFC 3161).
func timestamp(ctx context.Context, url string, encoded []byte) ([]byte, error) {
	signature, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(encoded)))
	if err != nil {
		return nil, err
	}
	query, err := rfc3161.CreateRequest(bytes.NewReader(signature), &rfc3161.RequestOptions{Hash: crypto.SHA256, Certificates: true})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(query))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/timestamp-query")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(io.LimitReader(response.Body, timestampAnswer))
}
