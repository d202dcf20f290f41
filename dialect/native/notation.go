package native

import (
	"maps"
	"regexp"
	"slices"

	"github.com/bonafide-dev/bonafide/api/v1alpha1"
	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/policy"
)

const (
	maxTrustStores = 20
	maxIdentities  = 100
	maxPlugins     = 20
	anyIdentity    = "*"
)

// pluginName and pluginDigest are of the folder and the content of an
// executable.
var (
	pluginName   = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,99}$`)
	pluginDigest = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)
)

func (c *compiler) notation(path string, s *v1alpha1.NotationSigner) policy.Signer {
	failedBefore, passed := len(c.Errors), c.passed
	spec := dialect.NotationSpec{
		TrustedIdentities: c.identities(path+".trustedIdentities", s.TrustedIdentities),
		Level:             c.level(path+".level", s.Level),
		Override:          c.override(path+".override", s.Override),
		VerifyTimestamp:   c.verifyTimestamp(path, s),
	}
	stores, sources := c.trustStores(path+".trustStores", s.TrustStores)
	spec.TrustStores = stores
	spec.Plugins = c.plugins(path, s)
	if c.Partial || len(c.Errors) > failedBefore || c.passed > passed {
		return nil
	}
	made, err := c.signers.Notation(spec)
	if err != nil {
		fields := map[string]string{
			dialect.FieldTrustedIdentities: path + ".trustedIdentities", dialect.FieldLevel: path + ".level",
			dialect.FieldOverride: path + ".override", dialect.FieldVerifyTimestamp: path + ".verifyTimestamp",
			dialect.FieldTrustStores: storePath(err, sources, path+".trustStores"), dialect.FieldPlugins: path + ".plugins",
		}
		c.Refused(err, fields, path)
		return nil
	}
	return made
}

func (c *compiler) trustStores(path string, list []v1alpha1.TrustStore) (stores []dialect.TrustStore, sources []string) {
	if !c.AtMost(path, len(list), maxTrustStores) {
		return nil, nil
	}
	var vouches bool
	for i := range list {
		here, store := dialect.At(path, i), &list[i]
		if store.Type == "" {
			c.Missing(here+".type", "expected ca, signingAuthority or tsa, got none")
		}
		choice(c, here+".type", store.Type, v1alpha1.TrustStoreCA, v1alpha1.TrustStoreSigningAuthority, v1alpha1.TrustStoreTSA)
		vouches = vouches || store.Type != v1alpha1.TrustStoreTSA
		m, found := c.read(here+".certificates", store.Certificates, certificatesEntry)
		if !found {
			continue
		}
		stores = append(stores, dialect.TrustStore{Type: string(store.Type), Certificates: m.content})
		sources = append(sources, m.path)
	}
	if !vouches {
		c.Missing(path, "expected a store of type ca or signingAuthority, got none")
	}
	return stores, sources
}

func (c *compiler) identities(path string, list []string) []string {
	if len(list) == 0 {
		c.Missing(path, "expected at least one identity, got none")
	}
	if !c.AtMost(path, len(list), maxIdentities) {
		return nil
	}
	c.unique(path, list)
	if slices.Contains(list, anyIdentity) {
		if len(list) > 1 {
			c.Errorf(path, "expected %q alone, got it beside others", anyIdentity)
		}
		c.Weaker(path, "%q accepts every certificate that the trust stores admit", anyIdentity)
	}
	return list
}

// level refuses the levels that never prove anything (TRUST R29).
func (c *compiler) level(path string, level v1alpha1.NotationLevel) string {
	if level == "audit" || level == "skip" {
		c.Errorf(path, "expected strict or permissive: %s does not enforce who signed, so nothing is ever proven", level)
		return ""
	}
	if choice(c, path, level, v1alpha1.LevelStrict, v1alpha1.LevelPermissive) == 1 {
		c.Weaker(path, "permissive accepts expired and revoked certificates, and signatures whose time is not proven")
		return string(v1alpha1.LevelPermissive)
	}
	return string(v1alpha1.LevelStrict)
}

// override admits the actions of trust-store-trust-policy.md, "Signature
// Verification", except for who signed (TRUST R29).
func (c *compiler) override(path string, override map[string]string) map[string]string {
	const enforce, log, skip = "enforce", "log", "skip"
	actions := map[string][]string{
		"authenticity":       {enforce},
		"authenticTimestamp": {enforce, log},
		"expiry":             {enforce, log},
		"revocation":         {enforce, log, skip},
	}
	checks := slices.Sorted(maps.Keys(actions))
	for _, check := range slices.Sorted(maps.Keys(override)) {
		action, here := override[check], path+"."+dialect.Clip(check)
		allowed, known := actions[check]
		switch {
		case !known:
			c.Near(here, check, checks, "expected %s, got this", dialect.Either(checks))
		case !slices.Contains(allowed, action):
			c.Near(here, action, allowed, "expected %s, got %q", dialect.Either(allowed), dialect.Clip(action))
		case action != enforce:
			c.Weaker(here, "%s does not refuse a signature that fails the check", action)
		}
	}
	return override
}

// plugins reads the verification plugins that signatures may call for (TRUST
// R30).
func (c *compiler) plugins(path string, s *v1alpha1.NotationSigner) []dialect.PluginSpec {
	here := path + ".plugins"
	if c.namespaced && s.Plugins != nil { // TRUST R17
		c.Errorf(here, "expected none: a VerificationPolicy runs no plugin")
		return nil
	}
	if !c.AtMost(here, len(s.Plugins), maxPlugins) {
		return nil
	}
	var specs []dialect.PluginSpec
	var names []string
	for i := range s.Plugins {
		p, here := &s.Plugins[i], dialect.At(here, i)
		switch {
		case p.Name == "":
			c.Missing(here+".name", "expected a name, got none")
		case !pluginName.MatchString(p.Name):
			c.Errorf(here+".name", "expected at most 100 letters, digits, '_', '.' and '-', no '.' first, got %q", dialect.Clip(p.Name))
		}
		switch {
		case p.SHA256 == "":
			c.Missing(here+".sha256", "expected the SHA-256 of the executable, got none")
		case !pluginDigest.MatchString(p.SHA256):
			c.Errorf(here+".sha256", "expected the SHA-256 of the executable as 64 hexadecimal digits, got %q", dialect.Clip(p.SHA256))
		}
		spec := dialect.PluginSpec{Name: p.Name, SHA256: p.SHA256}
		words := make([]string, 0, len(p.Replaces))
		for n, check := range p.Replaces {
			c.replaces(dialect.At(here+".replaces", n), check, s)
			words = append(words, string(check))
		}
		c.unique(here+".replaces", words)
		spec.Replaces = words
		names, specs = append(names, p.Name), append(specs, spec)
	}
	c.uniqueNames(here, names)
	return specs
}

func (c *compiler) replaces(path string, check v1alpha1.PluginCheck, s *v1alpha1.NotationSigner) {
	const who, revoked = v1alpha1.PluginTrustedIdentity, v1alpha1.PluginRevocation
	if check != who && check != revoked {
		c.Near(path, string(check), []string{string(who), string(revoked)}, "expected %s or %s, got %q", who, revoked, dialect.Clip(string(check)))
		return
	}
	if check == revoked && s.Override[string(revoked)] == "skip" {
		c.Errorf(path, "expected a check that override does not skip, got %s", revoked)
	}
	c.Weaker(path, "%s is left to the plugin: it may accept what Bonafide itself would refuse", check)
}

// uniqueNames reports the second of two plugins by one name.
func (c *compiler) uniqueNames(path string, names []string) {
	for i, name := range names {
		if j := slices.Index(names, name); j < i && name != "" {
			c.Errorf(dialect.At(path, i)+".name", "expected each name once, got %q again: it is %s", dialect.Clip(name), dialect.At(path, j))
		}
	}
}

func (c *compiler) verifyTimestamp(path string, s *v1alpha1.NotationSigner) string {
	here := path + ".verifyTimestamp"
	if choice(c, here, s.VerifyTimestamp, v1alpha1.VerifyTimestampAlways, v1alpha1.VerifyTimestampAfterCertExpiry) == 1 {
		c.Weaker(here, "afterCertExpiry looks at a signature's timestamp only when its certificate has expired")
	}
	isTSA := func(t v1alpha1.TrustStore) bool { return t.Type == v1alpha1.TrustStoreTSA }
	if s.VerifyTimestamp != "" && !slices.ContainsFunc(s.TrustStores, isTSA) {
		c.Missing(here, "expected a trust store of type tsa beside it, got none")
	}
	return string(s.VerifyTimestamp)
}
