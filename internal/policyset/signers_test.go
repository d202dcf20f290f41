package policyset_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/policy"
)

func TestR25LogRequiredWithoutTrustedRoot(t *testing.T) {
	_, err := policyset.NewSigners(nil).Key(dialect.KeySpec{PEM: []byte(publicKey)})
	var spec *dialect.SpecError
	if !errors.As(err, &spec) || spec.Field != dialect.FieldTransparencyLog {
		t.Errorf("expected an error about the transparency log, got %v", err)
	}
}

// TestR34OptionsReachTheSigner: whatever a policy says makes another signer.
func TestR34OptionsReachTheSigner(t *testing.T) {
	signers := policyset.Signers{}
	specs := map[string]dialect.KeySpec{
		"Plain":           {PEM: []byte(publicKey), LogIgnored: true},
		"OtherKey":        {PEM: []byte(otherKey), LogIgnored: true},
		"Hash":            {PEM: []byte(publicKey), LogIgnored: true, Hash: "sha512"},
		"MatchRepository": {PEM: []byte(publicKey), LogIgnored: true, SignedReference: "MatchRepository"},
		"Repository":      {PEM: []byte(publicKey), LogIgnored: true, SignedReference: "ghcr.io/acme/app"},
	}
	seen := map[policy.SignerID]string{}
	for name, spec := range specs {
		signer, err := signers.Key(spec)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if other, twice := seen[signer.ID()]; twice {
			t.Errorf("expected %s and %s to be different signers", name, other)
		}
		seen[signer.ID()] = name
	}
	explicit, err := signers.Key(dialect.KeySpec{PEM: []byte(publicKey), LogIgnored: true, SignedReference: "Any"})
	if err != nil || seen[explicit.ID()] != "Plain" {
		t.Errorf("expected Any to be the default, got %v", err)
	}
}

func TestSignersRefuse(t *testing.T) {
	certificate := certificatePEM(t)
	store := []dialect.TrustStore{{Type: "ca", Certificates: certificate}}
	cases := map[string]struct {
		make  func(policyset.Signers) (policy.Signer, error)
		field string
	}{
		"Hash": {func(s policyset.Signers) (policy.Signer, error) {
			return s.Key(dialect.KeySpec{PEM: []byte(publicKey), LogIgnored: true, Hash: "md5"})
		}, dialect.FieldHash},
		"Reference": {func(s policyset.Signers) (policy.Signer, error) {
			return s.Key(dialect.KeySpec{PEM: []byte(publicKey), LogIgnored: true, SignedReference: "match repository"})
		}, dialect.FieldSignedReference},
		"NoKey": {func(s policyset.Signers) (policy.Signer, error) {
			return s.Key(dialect.KeySpec{LogIgnored: true})
		}, dialect.FieldKey},
		"NoStores": {func(s policyset.Signers) (policy.Signer, error) {
			return s.Notation(dialect.NotationSpec{TrustedIdentities: []string{"*"}})
		}, dialect.FieldTrustStores},
		"NoIdentities": {func(s policyset.Signers) (policy.Signer, error) {
			return s.Notation(dialect.NotationSpec{TrustStores: store})
		}, dialect.FieldTrustedIdentities},
		"R29Audit": {func(s policyset.Signers) (policy.Signer, error) {
			return s.Notation(dialect.NotationSpec{TrustStores: store, TrustedIdentities: []string{"*"}, Level: "audit"})
		}, dialect.FieldLevel},
		"R29Authenticity": {func(s policyset.Signers) (policy.Signer, error) {
			return s.Notation(dialect.NotationSpec{TrustStores: store, TrustedIdentities: []string{"*"}, Override: map[string]string{"authenticity": "log"}})
		}, dialect.FieldOverride},
		"Override": {func(s policyset.Signers) (policy.Signer, error) {
			return s.Notation(dialect.NotationSpec{TrustStores: store, TrustedIdentities: []string{"*"}, Override: map[string]string{"x": "log"}})
		}, dialect.FieldOverride},
		"R29Timestamp": {func(s policyset.Signers) (policy.Signer, error) {
			return s.Notation(dialect.NotationSpec{TrustStores: store, TrustedIdentities: []string{"*"}, VerifyTimestamp: "always"})
		}, dialect.FieldVerifyTimestamp},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := tc.make(policyset.Signers{})
			var spec *dialect.SpecError
			if !errors.As(err, &spec) || spec.Field != tc.field {
				t.Errorf("expected an error about %s, got %v", tc.field, err)
			}
		})
	}
	if _, err := (policyset.Signers{}).Notation(dialect.NotationSpec{TrustStores: store, TrustedIdentities: []string{"*"}, Level: "permissive"}); err != nil {
		t.Errorf("expected a signer, got %v", err)
	}
}

// certificatePEM returns the certificate of testdata/notation.yaml.
func certificatePEM(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/notation.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "-----BEGIN CERTIFICATE-----")
	body, _, found := strings.Cut(rest, "-----END CERTIFICATE-----")
	if !found {
		t.Fatal("expected a certificate in testdata/notation.yaml, got none")
	}
	return []byte("-----BEGIN CERTIFICATE-----\n" + strings.Join(strings.Fields(body), "\n") + "\n-----END CERTIFICATE-----\n")
}
