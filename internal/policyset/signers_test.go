package policyset_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/notation"
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
		"Plain":           {PEM: []byte(publicKey), SigstoreSpec: dialect.SigstoreSpec{LogIgnored: true}},
		"OtherKey":        {PEM: []byte(otherKey), SigstoreSpec: dialect.SigstoreSpec{LogIgnored: true}},
		"Hash":            {PEM: []byte(publicKey), SigstoreSpec: dialect.SigstoreSpec{LogIgnored: true}, Hash: "sha512"},
		"MatchRepository": {PEM: []byte(publicKey), SigstoreSpec: dialect.SigstoreSpec{LogIgnored: true, SignedReference: "MatchRepository"}},
		"Repository":      {PEM: []byte(publicKey), SigstoreSpec: dialect.SigstoreSpec{LogIgnored: true, SignedReference: "ghcr.io/acme/app"}},
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
	explicit, err := signers.Key(dialect.KeySpec{PEM: []byte(publicKey), SigstoreSpec: dialect.SigstoreSpec{LogIgnored: true, SignedReference: "Any"}})
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
			return s.Key(dialect.KeySpec{PEM: []byte(publicKey), SigstoreSpec: dialect.SigstoreSpec{LogIgnored: true}, Hash: "md5"})
		}, dialect.FieldHash},
		"Reference": {func(s policyset.Signers) (policy.Signer, error) {
			return s.Key(dialect.KeySpec{PEM: []byte(publicKey), SigstoreSpec: dialect.SigstoreSpec{LogIgnored: true, SignedReference: "match repository"}})
		}, dialect.FieldSignedReference},
		"NoKey": {func(s policyset.Signers) (policy.Signer, error) {
			return s.Key(dialect.KeySpec{SigstoreSpec: dialect.SigstoreSpec{LogIgnored: true}})
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
		"R30Plugin": {func(s policyset.Signers) (policy.Signer, error) {
			return s.Notation(dialect.NotationSpec{TrustStores: store, TrustedIdentities: []string{"*"}, Plugins: []dialect.PluginSpec{{Name: "a"}}})
		}, dialect.FieldPlugins},
		"R30Identity": {func(s policyset.Signers) (policy.Signer, error) {
			return s.Notation(dialect.NotationSpec{TrustStores: store, TrustedIdentities: []string{"arn:x"}, Plugins: []dialect.PluginSpec{{Name: "a", SHA256: strings.Repeat("a", 64)}}})
		}, dialect.FieldTrustedIdentities},
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

// TestR29OnlyWhoAsksAdmitsWhatIsNotEnforced: the dialects of the Notary Project
// ask for it, and get a signer of its own.
func TestR29OnlyWhoAsksAdmitsWhatIsNotEnforced(t *testing.T) {
	spec := dialect.NotationSpec{
		TrustStores: []dialect.TrustStore{{Type: "ca", Certificates: certificatePEM(t)}}, TrustedIdentities: []string{"*"}, Level: "strict", AdmitNotEnforced: true,
	}
	seen := map[policy.SignerID]bool{}
	for _, level := range []string{"strict", "audit"} {
		for _, override := range []map[string]string{nil, {"authenticity": "log"}} {
			spec.Level, spec.Override = level, override
			signer, err := (policyset.Signers{}).Notation(spec)
			if err != nil {
				t.Fatalf("%s %v: expected a signer, got %v", level, override, err)
			}
			seen[signer.ID()] = true
		}
	}
	if len(seen) != 3 { // audit logs authenticity anyway
		t.Errorf("expected three signers, got %d", len(seen))
	}
	spec.Level, spec.Override = "strict", nil
	admitting, err := (policyset.Signers{}).Notation(spec)
	spec.AdmitNotEnforced = false
	refusing, other := (policyset.Signers{}).Notation(spec)
	if err != nil || other != nil || admitting.ID() == refusing.ID() {
		t.Errorf("expected two signers, got %v, %v", err, other)
	}
	spec.Level, spec.AdmitNotEnforced = "skip", true
	if _, err := (policyset.Signers{}).Notation(spec); err == nil {
		t.Error("expected level skip to be refused, got a signer")
	}
}

// TestR30OperatorGivesConfigurationOnly: which plugins count is the policy's to
// say.
func TestR30OperatorGivesConfigurationOnly(t *testing.T) {
	a, b := strings.Repeat("a", 64), strings.Repeat("b", 64)
	secret := map[string]string{"token": "x"}
	operator := policyset.Signers{Plugins: []notation.Plugin{{Name: "p", SHA256: a, Replaces: []string{"revocation"}, Config: secret}}}
	id := func(s policyset.Signers, plugins ...dialect.PluginSpec) policy.SignerID {
		t.Helper()
		signer, err := s.Notation(dialect.NotationSpec{
			TrustStores: []dialect.TrustStore{{Type: "ca", Certificates: certificatePEM(t)}}, TrustedIdentities: []string{"*"},
			Plugins: plugins,
		})
		if err != nil {
			t.Fatal(err)
		}
		return signer.ID()
	}
	var none policyset.Signers
	for name, tc := range map[string]struct {
		reason  string
		plugins []dialect.PluginSpec
		want    policy.SignerID
	}{
		"None":        {reason: "a policy that names none allows none", want: id(none)},
		"Config":      {reason: "the configuration is the operator's to give, what it replaces the policy's", plugins: []dialect.PluginSpec{{Name: "p", SHA256: strings.ToUpper(a)}}, want: id(none, dialect.PluginSpec{Name: "p", SHA256: a, Config: secret})},
		"OtherDigest": {reason: "secrets go to the pinned executable alone", plugins: []dialect.PluginSpec{{Name: "p", SHA256: b}}, want: id(none, dialect.PluginSpec{Name: "p", SHA256: b})},
		"OtherName":   {reason: "secrets go to the pinned executable alone", plugins: []dialect.PluginSpec{{Name: "q", SHA256: a}}, want: id(none, dialect.PluginSpec{Name: "q", SHA256: a})},
		"OwnConfig":   {reason: "the policy's own configuration counts", plugins: []dialect.PluginSpec{{Name: "p", SHA256: a, Config: map[string]string{"k": "v"}}}, want: id(none, dialect.PluginSpec{Name: "p", SHA256: a, Config: map[string]string{"k": "v"}})},
	} {
		t.Run(name, func(t *testing.T) {
			if got := id(operator, tc.plugins...); got != tc.want {
				t.Errorf("%s: expected %s, got %s", tc.reason, tc.want, got)
			}
		})
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
