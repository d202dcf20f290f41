package notation_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/notation"
	"github.com/bonafide-dev/bonafide/policy"
)

func TestR30PluginOptions(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	good := notation.Plugin{Name: "acme", SHA256: strings.Repeat("a", 64)}
	for name, tc := range map[string]struct {
		edit  func(*notation.Options)
		fails bool
	}{
		"Plain":         {edit: func(*notation.Options) {}},
		"NoName":        {edit: func(o *notation.Options) { o.Plugins[0].Name = "" }, fails: true},
		"Parent":        {edit: func(o *notation.Options) { o.Plugins[0].Name = ".." }, fails: true},
		"Path":          {edit: func(o *notation.Options) { o.Plugins[0].Name = "a/b" }, fails: true},
		"LongName":      {edit: func(o *notation.Options) { o.Plugins[0].Name = strings.Repeat("a", 101) }, fails: true},
		"NoDigest":      {edit: func(o *notation.Options) { o.Plugins[0].SHA256 = "" }, fails: true},
		"ShortDigest":   {edit: func(o *notation.Options) { o.Plugins[0].SHA256 = "aa" }, fails: true},
		"UnknownCheck":  {edit: func(o *notation.Options) { o.Plugins[0].Replaces = []string{"integrity"} }, fails: true},
		"CheckTwice":    {edit: func(o *notation.Options) { o.Plugins[0].Replaces = []string{"revocation", "revocation"} }, fails: true},
		"NameTwice":     {edit: func(o *notation.Options) { o.Plugins = append(o.Plugins, good) }, fails: true},
		"TooMany":       {edit: func(o *notation.Options) { o.Plugins = make([]notation.Plugin, 21) }, fails: true},
		"LongConfig":    {edit: func(o *notation.Options) { o.Plugins[0].Config = map[string]string{"a": strings.Repeat("a", 1<<20)} }, fails: true},
		"OtherIdentity": {edit: func(o *notation.Options) { o.TrustedIdentities = []string{"arn:x:y"} }, fails: true},
		"ReplacesIdentity": {edit: func(o *notation.Options) {
			o.Plugins[0].Replaces, o.TrustedIdentities = []string{"trustedIdentity"}, []string{"arn:x:y"}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o := p.options()
			o.Plugins = []notation.Plugin{good}
			tc.edit(&o)
			if _, err := notation.New(o); (err != nil) != tc.fails {
				t.Errorf("want an error: %t, got %v", tc.fails, err)
			}
		})
	}
	if _, err := notation.NewPluginHost("", nil); err == nil {
		t.Error("want a host without a folder to be refused")
	}
}

func TestR34IDCoversPlugins(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	seen := map[policy.SignerID]string{}
	for name, list := range map[string][]notation.Plugin{
		"None":     nil,
		"One":      {{Name: "a", SHA256: strings.Repeat("a", 64)}},
		"Name":     {{Name: "b", SHA256: strings.Repeat("a", 64)}},
		"Digest":   {{Name: "a", SHA256: strings.Repeat("b", 64)}},
		"Replaces": {{Name: "a", SHA256: strings.Repeat("a", 64), Replaces: []string{"revocation"}}},
		"Config":   {{Name: "a", SHA256: strings.Repeat("a", 64), Config: map[string]string{"k": "v"}}},
		"Value":    {{Name: "a", SHA256: strings.Repeat("a", 64), Config: map[string]string{"k": "w"}}},
		"Two":      {{Name: "a", SHA256: strings.Repeat("a", 64)}, {Name: "b", SHA256: strings.Repeat("a", 64)}},
	} {
		o := p.options()
		o.Plugins = list
		id := newSigner(t, o).ID()
		if twin := seen[id]; twin != "" {
			t.Errorf("want another identity for %s than for %s, got one", name, twin)
		}
		seen[id] = name
		slices.Reverse(o.Plugins)
		for i := range o.Plugins {
			o.Plugins[i].SHA256 = strings.ToUpper(o.Plugins[i].SHA256)
		}
		if again := newSigner(t, o).ID(); again != id {
			t.Errorf("%s: want order and spelling to be no content, got %s and %s", name, id, again)
		}
		document, err := notation.FromDocument(text(strict("a", "*", "*")), []notation.TrustStore{p.store(notation.CA)}, notation.DocumentOptions{Plugins: list})
		if twin := seen[must(t, document, err).ID()]; twin != "" {
			t.Errorf("want another identity for the document of %s than for %s, got one", name, twin)
		}
		seen[document.ID()] = name
	}
}

func TestR30DocumentAllowsPlugins(t *testing.T) {
	p := newPKI(t, fixture.CertificateOptions{})
	i := install(t)
	it := item(t, image("content"), p.leaf, fixture.NotationOptions{Attributes: callsFor("acme")})
	for name, tc := range map[string]struct {
		plugins []notation.Plugin
		want    evidence.Reason
	}{
		"Allowed":    {[]notation.Plugin{i.plugin}, ""},
		"NotAllowed": {nil, evidence.UnsupportedEvidence},
	} {
		s, err := notation.FromDocument(text(strict("a", "*", "*")), []notation.TrustStore{p.store(notation.CA)}, notation.DocumentOptions{Plugins: tc.plugins, PluginHost: i.host})
		if got := verdictOf(t.Context(), must(t, s, err), it); got != tc.want {
			t.Errorf("%s: want %q, got %q", name, tc.want, got)
		}
	}
}

func TestR30ParsePlugins(t *testing.T) {
	sum := strings.Repeat("a", 64)
	for name, tc := range map[string]struct {
		text  string
		want  []notation.Plugin
		fails bool
	}{
		"None":     {text: `{}`},
		"One":      {text: `{"plugins":[{"name":"a","sha256":"` + sum + `","replaces":["revocation"],"config":{"k":"v"}}]}`, want: []notation.Plugin{{Name: "a", SHA256: sum, Replaces: []string{"revocation"}, Config: map[string]string{"k": "v"}}}},
		"Unknown":  {text: `{"plugins":[{"name":"a","sha256":"` + sum + `","sha512":"x"}]}`, fails: true},
		"Twice":    {text: `{"plugins":[],"plugins":[]}`, fails: true},
		"Case":     {text: `{"Plugins":[]}`, fails: true},
		"Unpinned": {text: `{"plugins":[{"name":"a"}]}`, fails: true},
		"Text":     {text: `plugins`, fails: true},
	} {
		got, err := notation.ParsePlugins([]byte(tc.text))
		if (err != nil) != tc.fails || len(got) != len(tc.want) || len(got) > 0 && !cmp.Equal(got, tc.want) {
			t.Errorf("%s: want %v and an error: %t, got %v and %v", name, tc.want, tc.fails, got, err)
		}
	}
}
