package notation_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/notation"
)

// text writes a trust policy document of version 1.0.
func text(statements ...string) []byte {
	return []byte(`{"version":"1.0","trustPolicies":[` + strings.Join(statements, ",") + `]}`)
}

// strict writes a statement that trusts the store "acme".
func strict(name, scope, identity string) string {
	return fmt.Sprintf(`{"name":%q,"registryScopes":[%q],"signatureVerification":{"level":"strict"},"trustStores":["ca:acme"],"trustedIdentities":[%q]}`, name, scope, identity)
}

func at(repository string) evidence.Image {
	i := image("content")
	ref, err := imageref.Parse(repository)
	if err != nil {
		panic(err)
	}
	i.Reference, i.Repository = ref, ref.Repository()
	return i
}

func TestDocumentSelectsByRepository(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	aliases, err := imageref.NewParser(map[string]string{"mirror.example": "registry.example"})
	must(t, aliases, err)
	exact := strict("exact", "registry.example/team/app", identity("signer"))
	elsewhere := strict("elsewhere", "registry.example/team/app", identity("someone else"))
	skipped := `{"name":"skipped","registryScopes":["registry.example/scratch"],"signatureVerification":{"level":"skip"}}`
	for name, tc := range map[string]struct {
		reason   string
		document []byte
		image    string
		want     evidence.Reason
	}{
		"Exact":          {reason: "the repository is named", document: text(exact), image: "registry.example/team/app", want: ""},
		"OtherHostCase":  {reason: "another spelling of a host is the same host (R11)", document: text(exact), image: "Registry.Example:443/team/app", want: ""},
		"Alias":          {reason: "scopes are read under the operator's aliases", document: text(strict("a", "mirror.example/team/app", "*")), image: "registry.example/team/app", want: ""},
		"DockerHub":      {reason: "every alias of Docker Hub is docker.io (R11)", document: text(strict("a", "index.docker.io/library/nginx", "*")), image: "nginx", want: ""},
		"Below":          {reason: "a scope is no prefix", document: text(exact), image: "registry.example/team/app/sub", want: evidence.OutOfScope},
		"Other":          {reason: "no statement covers it", document: text(exact), image: "registry.example/team/other", want: evidence.OutOfScope},
		"Wildcard":       {reason: "everything else", document: text(elsewhere, strict("all", "*", "*")), image: "registry.example/team/other", want: ""},
		"ExactBeatsStar": {reason: "the exact statement decides though the wildcard would prove", document: text(strict("all", "*", "*"), elsewhere), image: "registry.example/team/app", want: evidence.IdentityMismatch},
		"LocalLayout":    {reason: "notation's local layouts are not repositories of Docker Hub", document: text(strict("a", "local/app", "*")), image: "local/app", want: evidence.OutOfScope},
		"Skipped":        {reason: "nothing is verified, so nothing is proven", document: text(exact, skipped), image: "registry.example/scratch", want: evidence.NotEnforced},
		"IPv6":           {reason: "a host that the library could not name", document: text(strict("all", "*", "*")), image: "[::1]:5000/app", want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := notation.FromDocument(tc.document, []notation.TrustStore{p.store(notation.CA)}, notation.DocumentOptions{Parser: aliases})
			must(t, s, err)
			it := item(t, image("content"), p.leaf, fixture.NotationOptions{})
			if _, err := s.Verify(t.Context(), at(tc.image), it); reason(err) != tc.want {
				t.Errorf("%s: want %q, got %v", tc.reason, tc.want, err)
			}
		})
	}
}

func TestR19DocumentIsReadStrictly(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	good := strict("a", "registry.example/app", "*")
	edit := func(from, to string) []byte {
		if !strings.Contains(good, from) {
			t.Fatalf("%q is not in the statement", from)
		}
		return text(strings.Replace(good, from, to, 1))
	}
	for name, tc := range map[string]struct {
		reason   string
		document []byte
	}{
		"UnknownName":          {reason: "a typing error must not weaken", document: edit(`"level"`, `"verifyTime":"x","level"`)},
		"OtherCase":            {reason: "names are matched by case", document: edit(`"trustStores"`, `"TrustStores"`)},
		"GlobalPolicy":         {reason: "a field of blob policies", document: edit(`"name"`, `"globalPolicy":true,"name"`)},
		"RepeatedName":         {reason: "two readers may pick different ones", document: edit(`"level":"strict"`, `"level":"strict","level":"audit"`)},
		"Trailing":             {reason: "a second document is ignored by some", document: append(text(good), text(good)...)},
		"NoStatement":          {reason: "nothing is asked", document: text()},
		"Empty":                {reason: "nothing is there", document: nil},
		"Version":              {reason: "another version may mean other things", document: []byte(strings.Replace(string(text(good)), "1.0", "2.0", 1))},
		"NoLevel":              {reason: "there is no default", document: edit(`"level":"strict"`, `"level":""`)},
		"UnknownLevel":         {reason: "unknown", document: edit(`strict`, `lenient`)},
		"UnknownOverride":      {reason: "unknown", document: edit(`"level":"strict"`, `"level":"strict","override":{"colour":"log"}`)},
		"OverrideIntegrity":    {reason: "integrity cannot be given up", document: edit(`"level":"strict"`, `"level":"strict","override":{"integrity":"log"}`)},
		"OverrideSkip":         {reason: "only revocation can be skipped", document: edit(`"level":"strict"`, `"level":"strict","override":{"expiry":"skip"}`)},
		"TwoStatementsOneRepo": {reason: "which one decides?", document: text(good, strict("b", "registry.example/app", "*"))},
		"TwoSpellingsOneRepo":  {reason: "which one decides?", document: text(good, strict("b", "REGISTRY.example:443/app", "*"))},
		"TwoSpellingsInOne":    {reason: "one of both is a mistake", document: edit(`["registry.example/app"]`, `["registry.example/app","Registry.example/app"]`)},
		"TwoWildcards":         {reason: "which one decides?", document: text(strict("a", "*", "*"), strict("b", "*", "*"))},
		"WildcardAmongScopes":  {reason: "the rest would mean nothing", document: edit(`["registry.example/app"]`, `["registry.example/app","*"]`)},
		"PartialWildcard":      {reason: "scopes have none", document: text(strict("a", "registry.example/*", "*"))},
		"TagInScope":           {reason: "scopes have none", document: text(strict("a", "registry.example/app:1", "*"))},
		"SameName":             {reason: "a finding would be ambiguous", document: text(good, strict("a", "registry.example/other", "*"))},
		"NoIdentity":           {reason: "nobody is trusted", document: edit(`["*"]`, `[]`)},
		"WildcardAmongNames":   {reason: "the rest would mean nothing", document: edit(`["*"]`, `["*","x509.subject: C=DE,ST=Berlin,O=Acme"]`)},
		"OverlappingNames":     {reason: "one of both would mean nothing", document: edit(`["*"]`, `["x509.subject: C=DE,ST=Berlin,O=Acme","x509.subject: C=DE,ST=Berlin,O=Acme,CN=x"]`)},
		"ShortName":            {reason: "C, ST and O are asked for", document: text(strict("a", "*", "x509.subject: CN=signer"))},
		"HexName":              {reason: "hexadecimal values made parsers run away (CVE-2023-25656)", document: text(strict("a", "*", "x509.subject: C=DE,ST=Berlin,O=#04024869"))},
		"LongName":             {reason: "bounded", document: text(strict("a", "*", "x509.subject: C=DE,ST=Berlin,O="+strings.Repeat("x", 5000)))},
		"PluginIdentity":       {reason: "only a plugin could check it", document: text(strict("a", "*", "com.acme.role: builder"))},
		"NoStore":              {reason: "the store is not there", document: edit(`ca:acme`, `ca:other`)},
		"OtherType":            {reason: "no store of that type", document: edit(`ca:acme`, `signingAuthority:acme`)},
		"UnknownType":          {reason: "unknown", document: edit(`ca:acme`, `xx:acme`)},
		"StoreOutside":         {reason: "a name is no path", document: edit(`ca:acme`, `ca:../acme`)},
		"StoreParent":          {reason: "a name is no path", document: edit(`ca:acme`, `ca:..`)},
		"SkipWithStores":       {reason: "somebody meant something", document: edit(`strict`, `skip`)},
		"Long":                 {reason: "bounded", document: append(text(good), []byte(strings.Repeat(" ", 2<<20))...)},
	} {
		t.Run(name, func(t *testing.T) {
			if s, err := notation.FromDocument(tc.document, []notation.TrustStore{p.store(notation.CA)}, notation.DocumentOptions{}); err == nil || s != nil {
				t.Errorf("%s: want an error, got none", tc.reason)
			}
		})
	}
	if _, err := notation.FromDocument(text(good), []notation.TrustStore{p.store(notation.CA)}, notation.DocumentOptions{}); err != nil {
		t.Errorf("want the document that the others vary to be fine, got %v", err)
	}
}

func TestR29WhatIsNotEnforcedIsNoProof(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	statement := func(level, override, stores string) string {
		return fmt.Sprintf(`{"name":"a","registryScopes":["registry.example/team/app"],"signatureVerification":{"level":%q,"override":{%s}}%s}`, level, override, stores)
	}
	trust := `,"trustStores":["ca:acme"],"trustedIdentities":["*"]`
	for name, tc := range map[string]struct {
		reason   string
		document string
		want     evidence.Reason
		proves   bool
	}{
		"Strict":              {reason: "all is enforced", document: statement("strict", "", trust), want: "", proves: true},
		"Permissive":          {reason: "authenticity is enforced", document: statement("permissive", "", trust), want: "", proves: true},
		"Audit":               {reason: "authenticity is only logged, though it passed", document: statement("audit", "", trust), want: evidence.NotEnforced},
		"Skip":                {reason: "nothing is looked at", document: statement("skip", "", ""), want: evidence.NotEnforced},
		"StrictWithoutIt":     {reason: "an override takes it away", document: statement("strict", `"authenticity":"log"`, trust), want: evidence.NotEnforced},
		"AuditWithIt":         {reason: "an override brings it", document: statement("audit", `"authenticity":"enforce"`, trust), want: "", proves: true},
		"RevocationIsSkipped": {reason: "revocation is not authenticity", document: statement("strict", `"revocation":"skip"`, trust), want: "", proves: true},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := notation.FromDocument(text(tc.document), []notation.TrustStore{p.store(notation.CA)}, notation.DocumentOptions{})
			must(t, s, err)
			it := item(t, image("content"), p.leaf, fixture.NotationOptions{})
			if _, err := s.Verify(t.Context(), image("content"), it); reason(err) != tc.want {
				t.Errorf("%s: want %q, got %v", tc.reason, tc.want, err)
			}
			st, covered := s.Statement(image("content").Repository)
			if !covered || st.Proves != tc.proves || st.Skipped != (name == "Skip") {
				t.Errorf("%s: want a statement that proves: %t, got %+v", tc.reason, tc.proves, st)
			}
			if (len(st.Weaknesses) == 0) != (name == "Strict") {
				t.Errorf("%s: want every weakening told (R19), got %q", tc.reason, st.Weaknesses)
			}
		})
	}
}

func TestR29ConfigurationErrors(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	stores := []notation.TrustStore{p.store(notation.CA), p.store(notation.SigningAuthority), p.store(notation.TSA)}
	statement := func(scope, verification, trust string) []byte {
		return text(fmt.Sprintf(`{"name":"a","registryScopes":[%q],"signatureVerification":{%s},"trustStores":[%s],"trustedIdentities":["*"]}`, scope, verification, trust))
	}
	for name, tc := range map[string]struct {
		reason   string
		document []byte
		fails    bool
	}{
		"SkipEverything":     {reason: "every image would be admitted", document: text(`{"name":"a","registryScopes":["*"],"signatureVerification":{"level":"skip"}}`), fails: true},
		"SkipOne":            {reason: "the repository is named", document: text(`{"name":"a","registryScopes":["registry.example/a"],"signatureVerification":{"level":"skip"}}`)},
		"TimestampNoStore":   {reason: "no timestamp would be looked at", document: statement("*", `"level":"strict","verifyTimestamp":"always"`, `"ca:acme"`), fails: true},
		"TimestampStore":     {reason: "timestamps are looked at", document: statement("*", `"level":"strict","verifyTimestamp":"always"`, `"ca:acme","tsa:acme"`)},
		"OverrideNoStore":    {reason: "no timestamp would be looked at", document: statement("*", `"level":"strict","override":{"authenticTimestamp":"log"}`, `"ca:acme"`), fails: true},
		"OverrideStore":      {reason: "timestamps are looked at", document: statement("*", `"level":"strict","override":{"authenticTimestamp":"log"}`, `"ca:acme","tsa:acme"`)},
		"OverrideAuthority":  {reason: "signing authorities bring their own time", document: statement("*", `"level":"strict","override":{"authenticTimestamp":"log"}`, `"signingAuthority:acme"`)},
		"OnlyTimestampStore": {reason: "no signer could be trusted", document: statement("*", `"level":"strict"`, `"tsa:acme"`), fails: true},
		"UnknownOption":      {reason: "unknown", document: statement("*", `"level":"strict","verifyTimestamp":"sometimes"`, `"ca:acme","tsa:acme"`), fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := notation.FromDocument(tc.document, stores, notation.DocumentOptions{}); (err != nil) != tc.fails {
				t.Errorf("%s: want an error: %t, got %v", tc.reason, tc.fails, err)
			}
		})
	}
}
