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
	failedBefore := len(c.failed)
	spec := dialect.NotationSpec{
		TrustedIdentities: c.identities(path+".trustedIdentities", s.TrustedIdentities),
		Level:             c.level(path+".level", s.Level),
		Override:          c.override(path+".override", s.Override),
		VerifyTimestamp:   c.verifyTimestamp(path, s),
	}
	stores, sources := c.trustStores(path+".trustStores", s.TrustStores)
	spec.TrustStores = stores
	spec.Plugins = c.plugins(path, s)
	if c.partial || len(c.failed) > failedBefore {
		return nil
	}
	made, err := c.signers.Notation(spec)
	if err != nil {
		fields := map[string]string{
			dialect.FieldTrustedIdentities: path + ".trustedIdentities", dialect.FieldLevel: path + ".level",
			dialect.FieldOverride: path + ".override", dialect.FieldVerifyTimestamp: path + ".verifyTimestamp",
			dialect.FieldTrustStores: storePath(err, sources, path+".trustStores"), dialect.FieldPlugins: path + ".plugins",
		}
		c.refused(err, fields, path)
		return nil
	}
	return made
}

func (c *compiler) trustStores(path string, list []v1alpha1.TrustStore) (stores []dialect.TrustStore, sources []string) {
	if !c.most(path, len(list), maxTrustStores) {
		return nil, nil
	}
	var vouches bool
	for i := range list {
		here, store := at(path, i), &list[i]
		if store.Type == "" {
			c.missing(here+".type", "expected ca, signingAuthority or tsa, got none")
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
		c.missing(path, "expected a store of type ca or signingAuthority, got none")
	}
	return stores, sources
}

func (c *compiler) identities(path string, list []string) []string {
	if len(list) == 0 {
		c.missing(path, "expected at least one identity, got none")
	}
	if !c.most(path, len(list), maxIdentities) {
		return nil
	}
	c.unique(path, list)
	if slices.Contains(list, anyIdentity) {
		if len(list) > 1 {
			c.errorf(path, "expected %q alone, got it beside others", anyIdentity)
		}
		c.weaker(path, "%q accepts every certificate that the trust stores admit", anyIdentity)
	}
	return list
}

// level refuses the levels that never prove anything (TRUST R29).
func (c *compiler) level(path string, level v1alpha1.NotationLevel) string {
	if level == "audit" || level == "skip" {
		c.errorf(path, "expected strict or permissive: %s does not enforce who signed, so nothing is ever proven", level)
		return ""
	}
	if choice(c, path, level, v1alpha1.LevelStrict, v1alpha1.LevelPermissive) == 1 {
		c.weaker(path, "permissive accepts expired and revoked certificates, and signatures whose time is not proven")
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
		action, here := override[check], path+"."+clip(check)
		allowed, known := actions[check]
		switch {
		case !known:
			c.near(here, check, checks, "expected %s, got this", either(checks))
		case !slices.Contains(allowed, action):
			c.near(here, action, allowed, "expected %s, got %q", either(allowed), clip(action))
		case action != enforce:
			c.weaker(here, "%s does not refuse a signature that fails the check", action)
		}
	}
	return override
}

// plugins reads the verification plugins that signatures may call for (TRUST
// R30).
func (c *compiler) plugins(path string, s *v1alpha1.NotationSigner) []dialect.PluginSpec {
	here := path + ".plugins"
	if c.namespaced && s.Plugins != nil { // TRUST R17
		c.errorf(here, "expected none: a VerificationPolicy runs no plugin")
		return nil
	}
	if !c.most(here, len(s.Plugins), maxPlugins) {
		return nil
	}
	var specs []dialect.PluginSpec
	var names []string
	for i := range s.Plugins {
		p, here := &s.Plugins[i], at(here, i)
		switch {
		case p.Name == "":
			c.missing(here+".name", "expected a name, got none")
		case !pluginName.MatchString(p.Name):
			c.errorf(here+".name", "expected at most 100 letters, digits, '_', '.' and '-', no '.' first, got %q", clip(p.Name))
		}
		switch {
		case p.SHA256 == "":
			c.missing(here+".sha256", "expected the SHA-256 of the executable, got none")
		case !pluginDigest.MatchString(p.SHA256):
			c.errorf(here+".sha256", "expected the SHA-256 of the executable as 64 hexadecimal digits, got %q", clip(p.SHA256))
		}
		spec := dialect.PluginSpec{Name: p.Name, SHA256: p.SHA256}
		words := make([]string, 0, len(p.Replaces))
		for n, check := range p.Replaces {
			c.replaces(at(here+".replaces", n), check, s)
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
		c.near(path, string(check), []string{string(who), string(revoked)}, "expected %s or %s, got %q", who, revoked, clip(string(check)))
		return
	}
	if check == revoked && s.Override[string(revoked)] == "skip" {
		c.errorf(path, "expected a check that override does not skip, got %s", revoked)
	}
	c.weaker(path, "%s is left to the plugin: it may accept what Bonafide itself would refuse", check)
}

// uniqueNames reports the second of two plugins by one name.
func (c *compiler) uniqueNames(path string, names []string) {
	for i, name := range names {
		if j := slices.Index(names, name); j < i && name != "" {
			c.errorf(at(path, i)+".name", "expected each name once, got %q again: it is %s", clip(name), at(path, j))
		}
	}
}

func (c *compiler) verifyTimestamp(path string, s *v1alpha1.NotationSigner) string {
	here := path + ".verifyTimestamp"
	if choice(c, here, s.VerifyTimestamp, v1alpha1.VerifyTimestampAlways, v1alpha1.VerifyTimestampAfterCertExpiry) == 1 {
		c.weaker(here, "afterCertExpiry looks at a signature's timestamp only when its certificate has expired")
	}
	isTSA := func(t v1alpha1.TrustStore) bool { return t.Type == v1alpha1.TrustStoreTSA }
	if s.VerifyTimestamp != "" && !slices.ContainsFunc(s.TrustStores, isTSA) {
		c.missing(here, "expected a trust store of type tsa beside it, got none")
	}
	return string(s.VerifyTimestamp)
}
