package nirmata

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/policy"
)

// The levels and what overrides them (trust-store-trust-policy.md, "Signature
// Verification").
const (
	levelStrict     = "strict"
	levelPermissive = "permissive"
	levelAudit      = "audit"
	levelSkip       = "skip"

	checkAuthenticity = "authenticity"
	actionEnforce     = "enforce"
	actionLog         = "log"
	actionSkip        = "skip"

	anyIdentity   = "*"
	subjectPrefix = "x509.subject:"
)

// statement compiles one statement, but for the images that it judges.
func (r *reader) statement(path string, s *statement) policy.Policy {
	p := policy.Policy{Origin: policy.Origin{
		Dialect: Name, Kind: kindTrustPolicy, Name: r.document.Name, Rule: s.Name, File: r.document.Place(),
	}}
	level := s.SignatureVerification.Level
	known := r.choice(path+".signatureVerification.level", level, levelStrict, levelPermissive, levelAudit, levelSkip)
	if level == levelSkip {
		return r.skip(path, s, p)
	}
	before := len(r.failed)
	p.Notes = append(p.Notes, r.weaknesses(path, s)...)
	spec := dialect.NotationSpec{
		TrustStores: r.trustStores(path+".trustStores", s.TrustStores), TrustedIdentities: r.identities(path+".trustedIdentities", s.TrustedIdentities),
		Level: level, Override: s.SignatureVerification.Override, AdmitNotEnforced: !proves(s.SignatureVerification), Plugins: r.options.Plugins,
	}
	if !known || len(r.failed) > before {
		return p
	}
	signer, err := r.signers.Notation(spec)
	if err != nil {
		r.refused(path, s, err)
		return p
	}
	p.Require = policy.Signature{Name: s.Name, Signer: signer}
	return p
}

// skip compiles a statement that asks for nothing. Nothing is looked up for its
// images, and so nothing is pinned either.
func (r *reader) skip(path string, s *statement, p policy.Policy) policy.Policy {
	here := path + ".signatureVerification"
	switch {
	case slices.Contains(s.RegistryScopes, anyScope): // TRUST R29
		r.errorf(here+".level", "expected %s for scope %q, got %q, which would admit every image: name the repositories",
			either([]string{levelStrict, levelPermissive, levelAudit}), anyScope, levelSkip)
	case len(s.SignatureVerification.Override) > 0:
		r.errorf(here+".override", "expected none beside level %q, which checks nothing", levelSkip)
	case len(s.TrustStores) > 0:
		r.errorf(path+".trustStores", "expected none beside level %q, which checks nothing", levelSkip)
	case len(s.TrustedIdentities) > 0:
		r.errorf(path+".trustedIdentities", "expected none beside level %q, which checks nothing", levelSkip)
	}
	p.Pin = policy.PinNone
	p.Require = policy.Static{Allow: true, Reason: "level " + levelSkip}
	p.Notes = append(p.Notes, weakening(here+".level", "%s admits every image of its scopes: no signature is asked for, and no tag is pinned", levelSkip))
	return p
}

// proves reports whether the statement enforces who signed (TRUST R29).
func proves(v signatureVerification) bool {
	if action := v.Override[checkAuthenticity]; action != "" {
		return action == actionEnforce
	}
	return v.Level != levelAudit
}

// weaknesses checks the overrides and says what the statement does not enforce.
func (r *reader) weaknesses(path string, s *statement) []policy.Note {
	var notes []policy.Note
	here := path + ".signatureVerification"
	switch s.SignatureVerification.Level {
	case levelPermissive:
		notes = append(notes, weakening(here+".level", "%s accepts expired and revoked certificates, and signatures whose time is not proven", levelPermissive))
	case levelAudit:
		notes = append(notes, weakening(here+".level", "%s admits an image that anybody has signed: it enforces only that the signature is whole and for this image", levelAudit))
	}
	actions := map[string][]string{
		checkAuthenticity:    {actionEnforce, actionLog},
		"authenticTimestamp": {actionEnforce, actionLog},
		"expiry":             {actionEnforce, actionLog},
		"revocation":         {actionEnforce, actionLog, actionSkip},
	}
	override := s.SignatureVerification.Override
	for _, check := range slices.Sorted(maps.Keys(override)) {
		field := here + ".override." + clip(check)
		allowed, known := actions[check]
		if !known {
			checks := slices.Sorted(maps.Keys(actions))
			r.near(field, check, checks, "expected %s, got this", either(checks))
			continue
		}
		if r.choice(field, override[check], allowed...) && override[check] != actionEnforce {
			text := "does not refuse a signature that fails the check"
			if check == checkAuthenticity {
				text = "admits a signature by anybody"
			}
			notes = append(notes, weakening(field, "%s %s", override[check], text))
		}
	}
	for _, p := range r.options.Plugins { // TRUST R30
		if len(p.Replaces) > 0 {
			notes = append(notes, weakening(path, "plugin %q answers in place of our own checks: %s", clip(p.Name), strings.Join(p.Replaces, ", ")))
		}
	}
	if slices.Contains(s.TrustedIdentities, anyIdentity) {
		notes = append(notes, weakening(path+".trustedIdentities", "%q accepts every certificate that the trust stores admit", anyIdentity))
	}
	return notes
}

// trustStores finds the stores that a statement names.
func (r *reader) trustStores(path string, names []string) []dialect.TrustStore {
	if n := len(names); n == 0 || n > maxStores {
		r.errorf(path, "expected one to %d trust stores, got %d", maxStores, n)
		return nil
	}
	var stores []dialect.TrustStore
	for i, full := range names {
		here := at(path, i)
		kind, name, _ := strings.Cut(full, ":")
		switch {
		case kind == "tsa":
			r.errorf(here, "expected a trust store of type %s or %s: a %s cannot be of type tsa, got %q", storeCA, storeSigningAuthority, kindTrustStore, clip(full))
			continue
		case kind != storeCA && kind != storeSigningAuthority || !isName(name):
			r.errorf(here, "expected %s:<name> or %s:<name>, got %q", storeCA, storeSigningAuthority, clip(full))
			continue
		case slices.Contains(names[:i], full):
			r.errorf(here, "expected each trust store once, got %q again", clip(full))
			continue
		}
		store, err := r.store(full)
		switch {
		case errors.Is(err, errNoStore):
			r.near(here, full, slices.Sorted(maps.Keys(r.stores)), "expected a %s with spec.type %s and spec.trustStoreName %q, got none", kindTrustStore, kind, name)
		case err != nil:
			r.errorf(here, "the %s that it names does not load", kindTrustStore)
		default:
			stores = append(stores, store)
		}
	}
	return stores
}

// identities refuses what only a plugin could check, unless there is one.
func (r *reader) identities(path string, list []string) []string {
	if n := len(list); n == 0 || n > maxIdentities {
		r.errorf(path, "expected one to %d trusted identities, got %d", maxIdentities, n)
		return nil
	}
	for i, identity := range list {
		if identity == anyIdentity || strings.HasPrefix(identity, subjectPrefix) || len(r.options.Plugins) > 0 {
			continue
		}
		r.errorf(at(path, i), "expected %q or %q with a distinguished name: only a verification plugin could check %q, and none is configured", anyIdentity, subjectPrefix, clip(identity))
	}
	return list
}

// refused reports an error of the signers at the field that it is about.
func (r *reader) refused(path string, s *statement, err error) {
	var spec *dialect.SpecError
	if !errors.As(err, &spec) {
		r.errorf(path, "%w", err)
		return
	}
	switch spec.Field {
	case dialect.FieldTrustStores:
		if i := spec.Index; i >= 0 && i < len(s.TrustStores) {
			r.errorf(at(path+".trustStores", i), "%q: %w", clip(s.TrustStores[i]), err)
			return
		}
		r.errorf(path+".trustStores", "%w", err)
	case dialect.FieldTrustedIdentities:
		r.errorf(path+".trustedIdentities", "%w", err)
	case dialect.FieldOverride:
		r.errorf(path+".signatureVerification.override", "%w", err)
	case dialect.FieldLevel:
		r.errorf(path+".signatureVerification.level", "%w", err)
	default:
		r.errorf(path, "%w", err)
	}
}
