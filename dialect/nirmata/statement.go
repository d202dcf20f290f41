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
		Dialect: Name, Kind: kindTrustPolicy, Name: r.Document.Name, Rule: s.Name, File: r.Document.Place(),
	}}
	level := s.SignatureVerification.Level
	known := r.choice(path+".signatureVerification.level", level, levelStrict, levelPermissive, levelAudit, levelSkip)
	if level == levelSkip {
		return r.skip(path, s, p)
	}
	before := len(r.Errors)
	r.weaknesses(path, s)
	spec := dialect.NotationSpec{
		TrustStores: r.trustStores(path+".trustStores", s.TrustStores), TrustedIdentities: r.identities(path+".trustedIdentities", s.TrustedIdentities),
		Level: level, Override: s.SignatureVerification.Override, AdmitNotEnforced: !proves(s.SignatureVerification), Plugins: r.options.Plugins,
	}
	if !known || len(r.Errors) > before {
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
		r.Errorf(here+".level", "expected %s for scope %q, got %q, which would admit every image: name the repositories",
			dialect.Either([]string{levelStrict, levelPermissive, levelAudit}), anyScope, levelSkip)
	case len(s.SignatureVerification.Override) > 0:
		r.Errorf(here+".override", "expected none beside level %q, which checks nothing", levelSkip)
	case len(s.TrustStores) > 0:
		r.Errorf(path+".trustStores", "expected none beside level %q, which checks nothing", levelSkip)
	case len(s.TrustedIdentities) > 0:
		r.Errorf(path+".trustedIdentities", "expected none beside level %q, which checks nothing", levelSkip)
	}
	p.Pin = policy.PinNone
	p.Require = policy.Static{Allow: true, Reason: "level " + levelSkip}
	r.Weaker(here+".level", "%s admits every image of its scopes: no signature is asked for, and no tag is pinned", levelSkip)
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
func (r *reader) weaknesses(path string, s *statement) {
	here := path + ".signatureVerification"
	switch s.SignatureVerification.Level {
	case levelPermissive:
		r.Weaker(here+".level", "%s accepts expired and revoked certificates, and signatures whose time is not proven", levelPermissive)
	case levelAudit:
		r.Weaker(here+".level", "%s admits an image that anybody has signed: it enforces only that the signature is whole and for this image", levelAudit)
	}
	actions := map[string][]string{
		checkAuthenticity:    {actionEnforce, actionLog},
		"authenticTimestamp": {actionEnforce, actionLog},
		"expiry":             {actionEnforce, actionLog},
		"revocation":         {actionEnforce, actionLog, actionSkip},
	}
	override := s.SignatureVerification.Override
	for _, check := range slices.Sorted(maps.Keys(override)) {
		field := here + ".override." + dialect.Clip(check)
		allowed, known := actions[check]
		if !known {
			checks := slices.Sorted(maps.Keys(actions))
			r.Near(field, check, checks, "expected %s, got this", dialect.Either(checks))
			continue
		}
		if r.choice(field, override[check], allowed...) && override[check] != actionEnforce {
			text := "does not refuse a signature that fails the check"
			if check == checkAuthenticity {
				text = "admits a signature by anybody"
			}
			r.Weaker(field, "%s %s", override[check], text)
		}
	}
	for _, p := range r.options.Plugins { // TRUST R30
		if len(p.Replaces) > 0 {
			r.Weaker(path, "plugin %q answers in place of our own checks: %s", dialect.Clip(p.Name), strings.Join(p.Replaces, ", "))
		}
	}
	if slices.Contains(s.TrustedIdentities, anyIdentity) {
		r.Weaker(path+".trustedIdentities", "%q accepts every certificate that the trust stores admit", anyIdentity)
	}
}

// trustStores finds the stores that a statement names.
func (r *reader) trustStores(path string, names []string) []dialect.TrustStore {
	if n := len(names); n == 0 || n > maxStores {
		r.Errorf(path, "expected one to %d trust stores, got %d", maxStores, n)
		return nil
	}
	var stores []dialect.TrustStore
	for i, full := range names {
		here := dialect.At(path, i)
		kind, name, _ := strings.Cut(full, ":")
		switch {
		case kind == "tsa":
			r.Errorf(here, "expected a trust store of type %s or %s: a %s cannot be of type tsa, got %q", storeCA, storeSigningAuthority, kindTrustStore, dialect.Clip(full))
			continue
		case kind != storeCA && kind != storeSigningAuthority || !isName(name):
			r.Errorf(here, "expected %s:<name> or %s:<name>, got %q", storeCA, storeSigningAuthority, dialect.Clip(full))
			continue
		case slices.Contains(names[:i], full):
			r.Errorf(here, "expected each trust store once, got %q again", dialect.Clip(full))
			continue
		}
		store, err := r.store(full)
		switch {
		case errors.Is(err, errNoStore):
			r.Near(here, full, slices.Sorted(maps.Keys(r.stores)), "expected a %s with spec.type %s and spec.trustStoreName %q, got none", kindTrustStore, kind, name)
		case err != nil:
			r.Errorf(here, "the %s that it names does not load", kindTrustStore)
		default:
			stores = append(stores, store)
		}
	}
	return stores
}

// identities refuses what only a plugin could check, unless there is one.
func (r *reader) identities(path string, list []string) []string {
	if n := len(list); n == 0 || n > maxIdentities {
		r.Errorf(path, "expected one to %d trusted identities, got %d", maxIdentities, n)
		return nil
	}
	for i, identity := range list {
		if identity == anyIdentity || strings.HasPrefix(identity, subjectPrefix) || len(r.options.Plugins) > 0 {
			continue
		}
		r.Errorf(dialect.At(path, i), "expected %q or %q with a distinguished name: only a verification plugin could check %q, and none is configured", anyIdentity, subjectPrefix, dialect.Clip(identity))
	}
	return list
}

// refused reports an error of the signers: at the trust store that it is about,
// if it names one.
func (r *reader) refused(path string, s *statement, err error) {
	var spec *dialect.SpecError
	if errors.As(err, &spec) && spec.Field == dialect.FieldTrustStores && spec.Index >= 0 && spec.Index < len(s.TrustStores) {
		r.Errorf(dialect.At(path+".trustStores", spec.Index), "%q: %w", dialect.Clip(s.TrustStores[spec.Index]), err)
		return
	}
	r.Refused(err, map[string]string{
		dialect.FieldTrustStores: path + ".trustStores", dialect.FieldTrustedIdentities: path + ".trustedIdentities",
		dialect.FieldOverride: path + ".signatureVerification.override", dialect.FieldLevel: path + ".signatureVerification.level",
	}, path)
}
