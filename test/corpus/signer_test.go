package corpus_test

import (
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/notation"
	"github.com/bonafide-dev/bonafide/policy"
	"github.com/bonafide-dev/bonafide/sigstore"
)

// signer makes who must have signed.
func signer(t *testing.T, s fixture.CaseSigner) policy.Signer {
	t.Helper()
	if s.Store != "" {
		return notary(t, s)
	}
	made, err := sigstoreSigner(t, s)
	if err != nil {
		t.Fatalf("%+v: %v", s, err)
	}
	return made
}

func sigstoreSigner(t *testing.T, s fixture.CaseSigner) (*sigstore.Signer, error) {
	t.Helper()
	options := sigstore.Options{TransparencyLog: sigstore.LogIgnored, Annotations: s.Annotations, Place: place(t, s)}
	if s.Log {
		options.TransparencyLog = sigstore.LogRequired
	}
	if s.Timestamps {
		options.Timestamps = sigstore.TimestampsRequired
	}
	if s.TrustedRoot != "" {
		var err error
		if options.TrustedRoot, err = sigstore.NewTrustedRoot(read(t, s.TrustedRoot)); err != nil {
			return nil, err
		}
	}
	switch {
	case s.Key != "":
		return sigstore.NewKey(read(t, s.Key), sigstore.KeyOptions{Options: options})
	case s.Issuer != "":
		identity := sigstore.Identity{Issuer: sigstore.Exactly(s.Issuer), Subject: sigstore.Exactly(s.Identity), SourceRepository: s.SourceRepository, Extensions: map[string]sigstore.Match{}}
		for name, value := range s.Extensions {
			identity.Extensions[name] = sigstore.Exactly(value)
		}
		return sigstore.NewKeyless(identity, sigstore.KeylessOptions{Options: options, CTLog: sigstore.LogIgnored})
	}
	o := sigstore.CertificateOptions{Options: options, Now: time.Now}
	if s.Certificate != "" {
		o.Certificate = read(t, s.Certificate)
	}
	if s.Chain != "" {
		o.Chain = read(t, s.Chain)
	}
	if s.Certificate == "" {
		o.Subject, o.AnySubject = sigstore.Exactly(s.Identity), s.Identity == ""
	}
	return sigstore.NewCertificate(o)
}

// place is where the signatures are.
func place(t *testing.T, s fixture.CaseSigner) evidence.Place {
	t.Helper()
	p := evidence.Place{TagPrefix: s.TagPrefix}
	if s.Repository == "" {
		return p
	}
	ref, err := imageref.Parse(elsewhere + s.Repository)
	if err != nil {
		t.Fatal(err)
	}
	p.Repository = ref.Repository()
	return p
}

func notary(t *testing.T, s fixture.CaseSigner) policy.Signer {
	t.Helper()
	certificates, err := notation.ParseCertificates(read(t, s.Store))
	if err != nil {
		t.Fatal(err)
	}
	identities := []string{"*"}
	if s.Identity != "" {
		identities = []string{s.Identity}
	}
	n, err := notation.New(notation.Options{TrustStores: []notation.TrustStore{{Type: "ca", Name: "corpus", Certificates: certificates}}, TrustedIdentities: identities})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
