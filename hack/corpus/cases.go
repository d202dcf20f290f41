package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/bonafide-dev/bonafide/internal/fixture"
)

const (
	provenance = "https://slsa.dev/provenance/v1"
	predicate  = `{"buildDefinition":{"buildType":"https://example.com/build/v1","externalParameters":{},"internalParameters":{},"resolvedDependencies":[]},"runDetails":{"builder":{"id":"https://example.com/builder"}}}`
)

func cases() []corpusCase {
	return slices.Concat(cosignCases(), attestationCases(), notationCases(), negativeCases())
}

func allowed(key string) fixture.Check {
	return fixture.Check{Signer: fixture.CaseSigner{Key: "keys/" + key + ".pub"}, Outcome: "allowed"}
}

func denied(key, reason string) fixture.Check {
	return fixture.Check{Signer: fixture.CaseSigner{Key: "keys/" + key + ".pub"}, Outcome: "denied", Reason: reason}
}

func annotated(c fixture.Check, annotations map[string]string) fixture.Check {
	c.Signer.Annotations = annotations
	return c
}

func notated(organization, who, outcome, reason string) fixture.Check {
	return fixture.Check{Signer: fixture.CaseSigner{Store: "trust/" + organization + ".pem", Identity: identity(who)}, Outcome: outcome, Reason: reason}
}

// signed makes an image and runs a cosign on it once for each list of
// arguments.
func signed(tool string, checks []fixture.Check, runs ...[]string) func(context.Context, *bench) (fixture.Image, []fixture.Check, error) {
	return func(ctx context.Context, b *bench) (fixture.Image, []fixture.Check, error) {
		image, err := b.registry.PushImage(ctx, "acme/app:v1", "a")
		for _, args := range runs {
			if err == nil {
				err = b.run(ctx, tool, image, args...)
			}
		}
		return image, checks, err
	}
}

func cosignCases() []corpusCase {
	one := []fixture.Check{allowed("release"), denied("stranger", "SignerMismatch")}
	two := []fixture.Check{allowed("release"), allowed("security"), denied("stranger", "SignerMismatch")}
	kinds := []string{"p384", "p521", "rsa2048", "rsa4096", "ed25519"}
	var every []fixture.Check
	var sign2s, sign3s, bundles [][]string
	for _, k := range kinds {
		c := allowed(k)
		if k == "ed25519" {
			c.Foreign = preHashed
		}
		every = append(every, c)
		sign2s, sign3s, bundles = append(sign2s, sign2(k)), append(sign3s, sign3(false, k)), append(bundles, sign3(true, k))
	}
	every = append(every, denied("stranger", "SignerMismatch"))
	claims := []fixture.Check{
		annotated(allowed("release"), map[string]string{"stage": "prod"}),
		annotated(denied("release", ""), map[string]string{"stage": "test"}),
		allowed("release"),
	}
	return []corpusCase{
		{name: "cosign2-simple", description: "A simple signing by cosign v2.", make: signed("cosign2", one, sign2("release"))},
		{name: "cosign3-simple", description: "A simple signing by cosign v3.", make: signed("cosign3", one, sign3(false, "release"))},
		{name: "cosign3-bundle", description: "A bundle by cosign v3, its default.", make: signed("cosign3", one, sign3(true, "release"))},
		{name: "cosign3-bundle-fallback", description: "A bundle in a registry without the referrers API: cosign keeps the fallback tag.", noReferrers: true, make: signed("cosign3", one, sign3(true, "release"))},
		{name: "cosign2-annotations", description: "A simple signing with a claim.", make: signed("cosign2", claims, sign2("release", "-a", "stage=prod"))},
		{name: "cosign3-bundle-annotations", description: "A bundle with a claim, which cosign puts into the statement's subject.", make: signed("cosign3", claims, sign3(true, "release", "-a", "stage=prod"))},
		{name: "cosign2-two-keys", description: "Two simple signings of one image.", make: signed("cosign2", two, sign2("release"), sign2("security"))},
		{name: "cosign3-bundle-two-keys", description: "Two bundles of one image.", make: signed("cosign3", two, sign3(true, "release"), sign3(true, "security"))},
		{name: "cosign2-key-kinds", description: "Simple signings with every kind of key that cosign v2 imports.", make: signed("cosign2", every, sign2s...)},
		{name: "cosign3-simple-key-kinds", description: "Simple signings with every kind of key that cosign v3 imports.", make: signed("cosign3", every, sign3s...)},
		{name: "cosign3-bundle-key-kinds", description: "Bundles with every kind of key that cosign v3 imports.", make: signed("cosign3", every, bundles...)},
		{name: "cosign2-index", description: "An index of two platforms whose own digest alone has a simple signing.", make: index("cosign2", false, sign2("release"))},
		{name: "cosign2-index-recursive", description: "An index and its two images, each with a simple signing.", make: index("cosign2", true, sign2("release", "--recursive"))},
		{name: "cosign3-bundle-index", description: "An index of two platforms whose own digest alone has a bundle.", make: index("cosign3", false, sign3(true, "release"))},
		{name: "cosign3-bundle-attestation", description: "A SLSA provenance as a bundle, and no signature.", make: attested("cosign3", true)},
		{name: "cosign2-attestation", description: "A SLSA provenance in cosign v2's .att manifest, and no signature.", make: attested("cosign2", false)},
	}
}

func index(tool string, recursive bool, args []string) func(context.Context, *bench) (fixture.Image, []fixture.Check, error) {
	return func(ctx context.Context, b *bench) (fixture.Image, []fixture.Check, error) {
		image, err := b.registry.PushIndex(ctx, "acme/app:v1", "a")
		if err != nil {
			return fixture.Image{}, nil, err
		}
		checks := []fixture.Check{allowed("release"), denied("stranger", "SignerMismatch")}
		for _, child := range image.Children {
			c := denied("release", "NotSigned")
			if recursive {
				c = allowed("release")
			}
			c.Digest = child.Digest.String()
			checks = append(checks, c)
		}
		return image, checks, b.run(ctx, tool, image, args...)
	}
}

func attested(tool string, bundle bool) func(context.Context, *bench) (fixture.Image, []fixture.Check, error) {
	return func(ctx context.Context, b *bench) (fixture.Image, []fixture.Check, error) {
		image, err := b.registry.PushImage(ctx, "acme/app:v1", "a")
		if err != nil {
			return fixture.Image{}, nil, err
		}
		if err := os.WriteFile(filepath.Join(b.scratch, "provenance.json"), []byte(predicate), 0o600); err != nil {
			return fixture.Image{}, nil, err
		}
		args := []string{"attest", "--key", "release.key", "--type", "slsaprovenance1", "--predicate", "provenance.json", "--tlog-upload=false", "--allow-http-registry", "-y"}
		unsigned := denied("release", "NotSigned")
		checks := []fixture.Check{unsigned}
		if bundle {
			args = append(args, "--use-signing-config=false", "--new-bundle-format=true")
			checks[0].Reason = "UnsupportedEvidence" // it is there, and is no signature
			checks[0].Foreign = anyStatement
			of, other := allowed("release"), denied("stranger", "SignerMismatch")
			of.Attestation, other.Attestation = provenance, provenance
			checks = append(checks, of, other)
		}
		return image, checks, b.run(ctx, tool, image, args...)
	}
}

func notationCases() []corpusCase {
	checks := []fixture.Check{
		notated("acme", "acme", "allowed", ""),
		notated("evil", "evil", "denied", "CertificateUntrusted"),
		notated("acme", "evil", "denied", "IdentityMismatch"),
	}
	expired := []fixture.Check{notated("acme", "acme", "denied", "SignatureExpired")}
	return []corpusCase{
		{name: "notation-jws", description: "A JWS signature by notation-go.", make: notate(mediaTypeJWS, 0, checks)},
		{name: "notation-cose", description: "A COSE signature by notation-go.", make: notate(mediaTypeCOSE, 0, checks)},
		{name: "notation-fallback", description: "A JWS signature in a registry without the referrers API.", noReferrers: true, make: notate(mediaTypeJWS, 0, checks)},
		{name: "notation-expired", description: "A JWS signature that expired a second after it was made.", make: notate(mediaTypeJWS, time.Second, expired)},
	}
}

func notate(mediaType string, expiry time.Duration, checks []fixture.Check) func(context.Context, *bench) (fixture.Image, []fixture.Check, error) {
	return func(ctx context.Context, b *bench) (fixture.Image, []fixture.Check, error) {
		image, err := b.registry.PushImage(ctx, "acme/app:v1", "a")
		if err != nil {
			return fixture.Image{}, nil, err
		}
		if err := b.notate(ctx, image, "acme", mediaType, expiry); err != nil || expiry == 0 {
			return image, checks, err
		}
		expired := time.NewTimer(2 * expiry) // then the tool agrees
		defer expired.Stop()
		select {
		case <-expired.C:
			return image, checks, nil
		case <-ctx.Done():
			return fixture.Image{}, nil, ctx.Err()
		}
	}
}

func negativeCases() []corpusCase {
	every := []fixture.Check{denied("release", "NotSigned"), notated("acme", "acme", "denied", "NotSigned")}
	return []corpusCase{
		{name: "unsigned", description: "An image that nobody signed.", make: signed("cosign3", every)},
		{name: "copied-simple", description: "Another image's simple signing under this image's tag.", make: copied([]fixture.Check{denied("release", "SubjectMismatch")},
			func(ctx context.Context, b *bench, other fixture.Image) error {
				return b.run(ctx, "cosign3", other, sign3(false, "release")...)
			})},
		{name: "copied-bundle", description: "Another image's bundle in a manifest that names this image as its subject.", make: copied([]fixture.Check{denied("release", "SubjectMismatch")},
			func(ctx context.Context, b *bench, other fixture.Image) error {
				return b.run(ctx, "cosign3", other, sign3(true, "release")...)
			})},
		{name: "copied-notation", description: "Another image's Notation signature in a manifest that names this image as its subject.", make: copied([]fixture.Check{notated("acme", "acme", "denied", "SubjectMismatch")},
			func(ctx context.Context, b *bench, other fixture.Image) error {
				return b.notate(ctx, other, "acme", mediaTypeJWS, 0)
			})},
		{name: "mixed", description: "One image with a simple signing, a bundle and a Notation signature, each by another signer.", make: mixed},
	}
}

// copied signs one image and puts the signature beside another, which alone is
// in the layout.
func copied(checks []fixture.Check, sign func(context.Context, *bench, fixture.Image) error) func(context.Context, *bench) (fixture.Image, []fixture.Check, error) {
	return func(ctx context.Context, b *bench) (fixture.Image, []fixture.Check, error) {
		other, err := b.registry.PushImage(ctx, "acme/other:v1", "b")
		if err != nil {
			return fixture.Image{}, nil, err
		}
		image, err := b.registry.PushImage(ctx, "acme/app:v1", "a")
		if err != nil {
			return fixture.Image{}, nil, err
		}
		if err := sign(ctx, b, other); err != nil {
			return fixture.Image{}, nil, err
		}
		b.made = append(b.made, "the signature is copied to the other image, a referrer's subject rewritten")
		return image, checks, b.registry.CopySignatures(ctx, other, image)
	}
}

func mixed(ctx context.Context, b *bench) (fixture.Image, []fixture.Check, error) {
	checks := []fixture.Check{allowed("release"), allowed("security"), notated("acme", "acme", "allowed", ""), denied("stranger", "SignerMismatch")}
	image, err := b.registry.PushImage(ctx, "acme/app:v1", "a")
	if err != nil {
		return fixture.Image{}, nil, err
	}
	if err := b.run(ctx, "cosign2", image, sign2("release")...); err != nil {
		return fixture.Image{}, nil, err
	}
	if err := b.run(ctx, "cosign3", image, sign3(true, "security")...); err != nil {
		return fixture.Image{}, nil, err
	}
	return image, checks, b.notate(ctx, image, "acme", mediaTypeCOSE, 0)
}
