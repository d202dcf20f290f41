package policyset_test

import (
	"errors"
	"testing"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/policy"
)

// TestRestOfTheOperatorsRoot: lists that a policy leaves out are the operator's,
// if the policy's language says so, and each list and each operator makes another
// signer.
func TestRestOfTheOperatorsRoot(t *testing.T) {
	s, o := whole(t), whole(t)
	parts := func(p dialect.RootParts) dialect.KeylessSpec {
		return dialect.KeylessSpec{Issuer: issuer, Subject: "dev@acme.test", SigstoreSpec: dialect.SigstoreSpec{TrustedRoot: &dialect.TrustedRootSpec{Parts: &p}}}
	}
	fulcio, rekor := [][]byte{s.FulcioChain()}, [][]byte{s.LogKey()}
	seen := map[policy.SignerID]string{}
	for name, by := range map[string]policyset.Signers{"one operator": policyset.NewSigners(trustedRoot(t, s.TrustedRoot())), "another": policyset.NewSigners(trustedRoot(t, o.TrustedRoot()))} {
		for part, p := range map[string]dialect.RootParts{"fulcio": {Fulcio: fulcio, Rest: true}, "rekor": {Rekor: rekor, Rest: true}, "ctLogs": {CTLogs: rekor, Rest: true}} {
			made, err := by.Keyless(parts(p))
			if err != nil {
				t.Fatalf("%s of %s: %v", part, name, err)
			}
			if other, twice := seen[made.ID()]; twice {
				t.Errorf("expected another signer of %s of %s than of %s", part, name, other)
			}
			seen[made.ID()] = part + " of " + name
		}
		if _, err := by.Keyless(parts(dialect.RootParts{Fulcio: fulcio})); err == nil {
			t.Errorf("%s: expected parts alone to need a log, got a signer", name)
		}
	}
	if _, err := policyset.NewSigners(nil).Keyless(parts(dialect.RootParts{Fulcio: fulcio, Rest: true})); err == nil {
		t.Error("expected a log to be needed without an operator's root, got a signer")
	}
}

// TestR34RestOfAnotherRoot: a trusted root that is kept parsed is one of an
// operator's own.
func TestR34RestOfAnotherRoot(t *testing.T) {
	s := whole(t)
	spec := dialect.KeylessSpec{Issuer: issuer, Subject: "dev@acme.test", SigstoreSpec: dialect.SigstoreSpec{
		TrustedRoot: &dialect.TrustedRootSpec{Parts: &dialect.RootParts{Rekor: [][]byte{s.LogKey()}, Rest: true}},
	}}
	by := policyset.NewSigners(trustedRoot(t, s.TrustedRoot()))
	before, err := by.Keyless(spec)
	if err != nil {
		t.Fatal(err)
	}
	by.TrustedRoot = trustedRoot(t, whole(t).TrustedRoot())
	if after, err := by.Keyless(spec); err != nil || after.ID() == before.ID() {
		t.Errorf("expected another signer of another operator's root, got %v", err)
	}
}

// TestPartsNameTheirList: the error of a trusted root wraps that of its list.
func TestPartsNameTheirList(t *testing.T) {
	broken := [][]byte{[]byte("nonsense")}
	for field, p := range map[string]dialect.RootParts{
		dialect.FieldFulcio: {Fulcio: broken}, dialect.FieldRekor: {Rekor: broken}, dialect.FieldCTLogs: {CTLogs: broken}, dialect.FieldTimestampCAs: {TimestampAuthorities: broken},
	} {
		_, err := policyset.NewSigners(nil).Key(dialect.KeySpec{PEM: []byte(publicKey), SigstoreSpec: dialect.SigstoreSpec{TrustedRoot: &dialect.TrustedRootSpec{Parts: &p}}})
		var root, list *dialect.SpecError
		if !errors.As(err, &root) || root.Field != dialect.FieldTrustedRoot || !errors.As(root.Err, &list) || list.Field != field {
			t.Errorf("expected an error of the trusted root about %s, got %v", field, err)
		}
	}
}
