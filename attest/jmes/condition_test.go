package jmes_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/attest/jmes"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

func block(t testing.TB, o jmes.Options, blocks ...jmes.Block) policy.Condition {
	t.Helper()
	c, err := jmes.Compile(blocks, o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func equals(key, value string) jmes.Test {
	return jmes.Test{Key: "{{ " + key + " }}", Operator: "Equals", Value: value}
}

func TestAnyAndAll(t *testing.T) {
	const document = `{"a":"1","b":"2","l":[null]}`
	yes, no, unclear, lost := equals("a", "1"), equals("a", "9"), equals("l", "x"), equals("c", "x")
	for name, c := range map[string]struct {
		reason string
		blocks []jmes.Block
		want   evidence.Reason
	}{
		"AnyOne":          {"one suffices", []jmes.Block{{Any: []jmes.Test{no, yes}}}, holds},
		"AnyNone":         {"none holds", []jmes.Block{{Any: []jmes.Test{no, no}}}, isFalse},
		"AnyPassesOver":   {"what cannot be compared is no alternative", []jmes.Block{{Any: []jmes.Test{unclear, yes}}}, holds},
		"AnyLeavesOpen":   {"nobody knows that it is false", []jmes.Block{{Any: []jmes.Test{unclear, no}}}, fails},
		"R32AnyUnknown":   {"a variable that does not resolve ends the search", []jmes.Block{{Any: []jmes.Test{lost, yes}}}, fails},
		"AnyBeforeIt":     {"what comes first decides", []jmes.Block{{Any: []jmes.Test{yes, lost}}}, holds},
		"All":             {"each holds", []jmes.Block{{All: []jmes.Test{yes, equals("b", "2")}}}, holds},
		"AllButOne":       {"one is false", []jmes.Block{{All: []jmes.Test{yes, no}}}, isFalse},
		"R32AllButOne":    {"one cannot be compared", []jmes.Block{{All: []jmes.Test{yes, unclear}}}, fails},
		"AnyAndAll":       {"both of a block", []jmes.Block{{Any: []jmes.Test{yes}, All: []jmes.Test{no}}}, isFalse},
		"AnyAndAllBoth":   {"both of a block", []jmes.Block{{Any: []jmes.Test{no, yes}, All: []jmes.Test{yes}}}, holds},
		"Blocks":          {"all blocks", []jmes.Block{{Any: []jmes.Test{yes}}, {All: []jmes.Test{no}}}, isFalse},
		"BlockWithoutAny": {"an empty block beside another", []jmes.Block{{}, {All: []jmes.Test{yes}}}, holds},
	} {
		t.Run(name, func(t *testing.T) {
			err := block(t, jmes.Options{}, c.blocks...).Check(t.Context(), input(t, document))
			if got := reasonOf(err); got != c.want {
				t.Errorf("%s: want %q, got %q: %v", c.reason, c.want, got, err)
			}
		})
	}
}

func TestVariables(t *testing.T) {
	const document = `{"a":{"b":"x","n":5,"l":["p","q"],"braces":"{{ a.b }}","quote":"none') || to_string('x","x":"deep","shop":"mine"},"request":{"namespace":"forged"},"image":{"tag":"forged"},"keys":{"data":{"org":"forged"}},"element":"own"}`
	o := jmes.Options{Context: map[string]any{"keys": map[string]any{"data": map[string]string{"org": "acme", "glob": "sh*"}}}}
	for name, c := range map[string]struct {
		test jmes.Test
		want evidence.Reason
	}{
		"InsideText":            {jmes.Test{Key: "v{{ a.b }}-{{a.n}}", Operator: "Equals", Value: "vx-5"}, holds},
		"Adjacent":              {jmes.Test{Key: "{{a.b}}{{a.b}}", Operator: "Equals", Value: "xx"}, holds},
		"ListInText":            {jmes.Test{Key: "{{ a.l }}.", Operator: "Equals", Value: `["p","q"].`}, holds},
		"WholeKeepsItsType":     {jmes.Test{Key: "{{ a.l }}", Operator: "Equals", Value: []any{"p", "q"}}, holds},
		"InsideLists":           {jmes.Test{Key: []any{"p", "{{ a.b }}"}, Operator: "Equals", Value: []any{"p", "x"}}, holds},
		"InsideNames":           {jmes.Test{Key: map[string]any{"{{ a.b }}": int64(1)}, Operator: "Equals", Value: map[string]any{"x": int64(1)}}, holds},
		"MultiSelectHash":       {jmes.Test{Key: "{{ {k: a.b} }}", Operator: "Equals", Value: map[string]any{"k": "x"}}, holds},
		"Nested":                {jmes.Test{Key: "{{ a.{{ a.b }} }}", Operator: "Equals", Value: "deep"}, holds},
		"NestedInQuotes":        {jmes.Test{Key: `{{ lookup(a, '{{ request.namespace }}') }}`, Operator: "Equals", Value: "mine"}, holds},
		"NestedIndex":           {jmes.Test{Key: "{{ a.l[{{ length(a.b) }}] }}", Operator: "Equals", Value: "q"}, holds},
		"R32NestedInjection":    {jmes.Test{Key: `{{ lookup(a, '{{ a.quote }}') }}`, Operator: "Equals", Value: "x"}, fails},
		"R32NotReadAgain":       {jmes.Test{Key: "-{{ a.braces }}", Operator: "NotEquals", Value: "-"}, fails},
		"WholeIsText":           {jmes.Test{Key: "{{ a.braces }}", Operator: "NotEquals", Value: "x"}, holds},
		"Shallow":               {jmes.Test{Key: "-{{- a.braces }}", Operator: "NotEquals", Value: "-x"}, holds},
		"Escaped":               {jmes.Test{Key: `\{{ a.b }}{{ a.b }}`, Operator: "Equals", Value: `\{{ a.b }}x`}, holds},
		"NullInText":            {jmes.Test{Key: "x{{ a.b.c }}", Operator: "NotEquals", Value: "x"}, fails},
		"OfTheRequest":          {equals("request.namespace", "shop"), holds},
		"Operation":             {equals("request.operation", "CREATE"), holds},
		"User":                  {equals("request.userInfo.username", "system:serviceaccount:shop:deployer"), holds},
		"Kind":                  {equals("request.kind.kind", "Pod"), holds},
		"ServiceAccount":        {equals("serviceAccountName", "deployer"), holds},
		"ServiceAccountIn":      {equals("serviceAccountNamespace", "shop"), holds},
		"ImageTag":              {equals("image.tag", "v1"), holds},
		"ImageRegistry":         {equals("image.registry", "ghcr.io"), holds},
		"ImagePath":             {equals("image.path", "acme/app"), holds},
		"ImageName":             {equals("image.name", "app"), holds},
		"ImageDigest":           {equals("image.digest", digest), holds},
		"ImageReference":        {equals("image.reference", "ghcr.io/acme/app:v1"), holds},
		"ImageReferenceWithTag": {equals("image.referenceWithTag", "ghcr.io/acme/app:v1"), holds},
		"Context":               {equals("keys.data.org", "acme"), holds},
		"ContextMayHoldPattern": {jmes.Test{Key: "{{ request.namespace }}", Operator: "Equals", Value: "{{ keys.data.glob }}"}, holds},
		"ElementOfItsOwn":       {equals("element", "own"), holds},
		"MissingMember":         {jmes.Test{Key: "{{ a.nothing }}", Operator: "NotEquals", Value: "x"}, fails},
		"MissingWithDefault":    {jmes.Test{Key: "{{ a.nothing || 'none' }}", Operator: "Equals", Value: "none"}, holds},
		"R32ErrorWithDefault":   {jmes.Test{Key: "{{ parse_json(a.b) || 'none' }}", Operator: "Equals", Value: "none"}, fails},
		"R32ErrorNegated":       {jmes.Test{Key: "{{ !parse_json(a.b)[].x }}", Operator: "Equals", Value: true}, fails},
	} {
		t.Run(name, func(t *testing.T) {
			err := block(t, o, jmes.Block{All: []jmes.Test{c.test}}).Check(t.Context(), input(t, document))
			if got := reasonOf(err); got != c.want {
				t.Errorf("want %q, got %q: %v", c.want, got, err)
			}
		})
	}
}

// TestR48WhatTheDoorDoesNotKnowIsMissing shows that an unknown namespace is not
// an empty one.
func TestR48WhatTheDoorDoesNotKnowIsMissing(t *testing.T) {
	for _, key := range []string{"request.namespace", "request.operation", "request.userInfo.username", "request.kind.kind", "serviceAccountName", "image.tag"} {
		c := compile(t, jmes.Test{Key: "{{ " + key + " }}", Operator: "NotEquals", Value: "prod"})
		in := input(t, `{"serviceAccountName":"forged"}`)
		in.Request, in.Image = policy.Request{}, imageref.Reference{}
		if got := reasonOf(c.Check(t.Context(), in)); got != fails {
			t.Errorf("%s: want %q, got %q", key, fails, got)
		}
	}
	in := input(t, `{}`)
	in.Statement = nil
	if got := reasonOf(compile(t, equals("image.tag", "v1")).Check(t.Context(), in)); got != fails {
		t.Errorf("no statement: want %q, got %q", fails, got)
	}
}

func TestImageIsSpelledAsAsked(t *testing.T) {
	for spelling, want := range map[string]string{
		"nginx":                         "docker.io nginx latest docker.io/nginx:latest",
		"docker.io/library/nginx:1":     "docker.io library/nginx 1 docker.io/library/nginx:1",
		"acme/app:v1@" + digest:         "docker.io acme/app v1 docker.io/acme/app@" + digest,
		"localhost:5000/a/b:v1":         "localhost:5000 a/b v1 localhost:5000/a/b:v1",
		"registry.example.com/app:v1.2": "registry.example.com app v1.2 registry.example.com/app:v1.2",
	} {
		image, err := imageref.Parse(spelling)
		if err != nil {
			t.Fatal(err)
		}
		in := input(t, `{}`)
		in.Image = image
		c := compile(t, jmes.Test{Key: "{{ image.registry }} {{ image.path }} {{ image.tag }} {{ image.reference }}", Operator: "Equals", Value: want})
		if err := c.Check(t.Context(), in); err != nil {
			t.Errorf("%s: %v", spelling, err)
		}
	}
}

// TestCosignCustomPredicate reads the document that cosign wraps.
func TestCosignCustomPredicate(t *testing.T) {
	const custom = "https://cosign.sigstore.dev/attestation/v1"
	c := compile(t, equals("approved.by", "qa"))
	for name, s := range map[string]struct {
		statement *policy.Statement
		want      evidence.Reason
	}{
		"Wrapped":     {policy.NewStatement(custom, []byte(`{"predicate":{"Data":"{\"approved\":{\"by\":\"qa\"}}","Timestamp":"x"}}`)), holds},
		"Plain":       {policy.NewStatement(custom, []byte(`{"predicate":{"approved":{"by":"qa"}}}`)), holds},
		"NoJSON":      {policy.NewStatement(custom, []byte(`{"predicate":{"Data":"approved by qa"}}`)), evidence.MalformedEvidence},
		"R4Twice":     {policy.NewStatement(custom, []byte(`{"predicate":{"Data":"{\"approved\":1,\"approved\":{\"by\":\"qa\"}}"}}`)), evidence.MalformedEvidence},
		"List":        {policy.NewStatement(custom, []byte(`{"predicate":{"Data":"[1]"}}`)), evidence.MalformedEvidence},
		"OtherType":   {policy.NewStatement("https://example.com/v1", []byte(`{"predicate":{"Data":"{\"approved\":{\"by\":\"qa\"}}"}}`)), fails},
		"NoPredicate": {policy.NewStatement(custom, []byte(`{}`)), evidence.MalformedEvidence},
	} {
		in := input(t, `{}`)
		in.Statement = s.statement
		if got := reasonOf(c.Check(t.Context(), in)); got != s.want {
			t.Errorf("%s: want %q, got %q", name, s.want, got)
		}
	}
}

func TestProblemsSayWhatAndWhere(t *testing.T) {
	long := strings.Repeat("x", 10000)
	tests := []jmes.Test{
		{Key: "{{ a }}", Operator: "equals", Value: "y", Message: "a is not y"},
		{Key: "{{ a }}", Operator: "equals", Value: long},
	}
	for i, want := range []string{`expected a is not y, got "x"`, `expected "{{ a }}" Equals "xxx`} {
		err := compile(t, tests[i]).Check(t.Context(), input(t, `{"a":"x"}`))
		if err == nil || !strings.HasPrefix(err.Error(), want) || len(err.Error()) > 1000 {
			t.Errorf("want a short error that begins %q, got %v", want, err)
		}
	}
	either := block(t, jmes.Options{}, jmes.Block{Any: []jmes.Test{tests[0], equals("b", "z")}})
	err := either.Check(t.Context(), input(t, `{"a":"x","b":["`+long+`"]}`))
	var p *evidence.Problem
	if !errors.As(err, &p) || p.Reason != fails || !strings.Contains(p.Expected, "a is not y; ") || strings.Contains(p.Got, "x") {
		t.Errorf("want all alternatives named, and no value with a reason that is shown to everybody; got %v", err)
	}
	err = either.Check(t.Context(), input(t, `{"a":"x","b":"`+long+`"}`))
	if !errors.As(err, &p) || p.Reason != isFalse || len(p.Error()) > 3000 {
		t.Errorf("want what was found, bounded; got %v", err)
	}
	if got := compile(t, jmes.Test{Key: "{{ a }}", Operator: "greaterthan", Value: 5}).String(); got != `"{{ a }}" GreaterThan 5` {
		t.Errorf("String: got %s", got)
	}
	if got := either.String(); got != `"{{ a }}" Equals "y" or "{{ b }}" Equals "z"` {
		t.Errorf("String: got %s", got)
	}
}

// TestContextEndsEvaluation shows the one outcome that is open.
func TestContextEndsEvaluation(t *testing.T) {
	c := compile(t, equals("a", "x"))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got := reasonOf(c.Check(ended, input(t, `{"a":"x"}`))); got != evidence.Cancelled {
		t.Errorf("want %q, got %q", evidence.Cancelled, got)
	}
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	if got := reasonOf(c.Check(late, input(t, `{"a":"x"}`))); got != evidence.DeadlineExceeded {
		t.Errorf("want %q, got %q", evidence.DeadlineExceeded, got)
	}
	// It ends inside an expression, too.
	endless := compile(t, jmes.Test{Key: "{{ length(" + strings.Repeat("[@,@][]|", 40) + "[@]) }}", Operator: "Equals", Value: 1})
	soon := &countdown{Context: t.Context(), left: 3}
	if got := reasonOf(endless.Check(soon, input(t, `{}`))); got != evidence.DeadlineExceeded {
		t.Errorf("inside an expression: want %q, got %q", evidence.DeadlineExceeded, got)
	}
}

// A countdown ends after so many questions.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// TestLargeInventoryIsWithinBounds holds the bounds to what is in use.
func TestLargeInventoryIsWithinBounds(t *testing.T) {
	component := `{"name":"lib","version":"1.2.3","purl":"pkg:deb/debian/lib@1.2.3","licenses":[{"expression":"MIT"},{"license":{"id":"BSD-3-Clause"}}]}`
	in := input(t, `{"components":[`+strings.Repeat(component+",", 49_999)+component+`]}`)
	var forbidden []any
	for range 100 {
		forbidden = append(forbidden, "GPL-*")
	}
	c := compile(t,
		jmes.Test{Key: "{{ element.components[].licenses[].expression }}", Operator: "AllNotIn", Value: forbidden},
		jmes.Test{Key: "{{ components[?name == 'log4j'].{name: name, version: version} | length(@) }}", Operator: "Equals", Value: 0},
	)
	if err := c.Check(t.Context(), in); err != nil {
		t.Error(err)
	}
}

// TestR1WorkIsBounded holds expressions that would multiply what they look at.
func TestR1WorkIsBounded(t *testing.T) {
	var list []string
	for range 20000 {
		list = append(list, `"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa*"`)
	}
	document := `{"s":"` + strings.Repeat("a", 1<<20) + `","l":[` + strings.Join(list, ",") + `],"o":{"p":"(a|a)*b","y":"a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]"}}`
	in := input(t, document)
	for name, c := range map[string]jmes.Test{
		"Doubling":          {Key: "{{ " + strings.Repeat("[@,@][]|", 60) + "length(@) }}", Operator: "Equals", Value: 1},
		"DoublingText":      {Key: "{{ s" + strings.Repeat("|join('',[@,@])", 60) + "|length(@) }}", Operator: "Equals", Value: 1},
		"Replacement":       {Key: "{{ replace_all(s, '', s) }}", Operator: "Equals", Value: "x"},
		"RegexReplacement":  {Key: "{{ regex_replace_all('', s, s) }}", Operator: "Equals", Value: "x"},
		"RegexExpansion":    {Key: "{{ regex_replace_all('a', s, '$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0') }}", Operator: "Equals", Value: "x"},
		"RegexProgram":      {Key: "{{ regex_match('(a{500}b?){4}c', s) }}", Operator: "Equals", Value: false},
		"RegexOfDocument":   {Key: "{{ l[?regex_match(@, 'x')] }}", Operator: "Equals", Value: "x"},
		"Wildcards":         {Key: "{{ s }}", Operator: "Equals", Value: strings.Repeat("a*", 4000) + "b"},
		"WildcardsOfLists":  {Key: "{{ l }}", Operator: "AnyIn", Value: "{{ l[].join('', [@, 'x']) }}"},
		"YAMLAliases":       {Key: "{{ parse_yaml(o.y) }}", Operator: "Equals", Value: "x"},
		"YAMLAgainAndAgain": {Key: "{{ l[].parse_yaml('[a,b,c,d,e,f,g,h,i,j,k,l,m]') }}", Operator: "Equals", Value: "x"},
		"Comparisons":       {Key: "{{ l[?@ == `\"" + strings.Repeat("a", 2000) + "\"`][] | [@,@,@,@,@,@,@,@] | [].[@,@,@,@] | length([?contains([@], 'x')]) }}", Operator: "Equals", Value: 1},
		"Hashing":           {Key: "{{ l[].{a: @, b: @, c: @, d: @} | [].[a,b,c,d,a,b,c,d][] | [].[@,@,@,@][] | length(@) }}", Operator: "Equals", Value: 1},
	} {
		t.Run(name, func(t *testing.T) {
			condition, err := jmes.Compile([]jmes.Block{{All: []jmes.Test{c}}}, jmes.Options{})
			if err != nil {
				return // refused when it is read
			}
			if got := reasonOf(condition.Check(t.Context(), in)); got == holds {
				t.Error("want a limit or a false condition, got one that holds")
			}
		})
	}
}

func TestCompileRefuses(t *testing.T) {
	deep := any("x")
	for range 100 {
		deep = []any{deep}
	}
	one := []jmes.Test{equals("a", "x")}
	for name, c := range map[string]struct {
		blocks []jmes.Block
		o      jmes.Options
	}{
		"R48Nothing":           {nil, jmes.Options{}},
		"R48EmptyBlocks":       {[]jmes.Block{{}, {}}, jmes.Options{}},
		"R48EmptyAny":          {[]jmes.Block{{Any: []jmes.Test{}, All: one}}, jmes.Options{}},
		"R48Constants":         {[]jmes.Block{{All: []jmes.Test{{Key: "a", Operator: "Equals", Value: "a"}}}}, jmes.Options{}},
		"R48EscapedConstant":   {[]jmes.Block{{All: []jmes.Test{{Key: `\{{ a }}`, Operator: "NotEquals", Value: "a"}}}}, jmes.Options{}},
		"TooManyTests":         {[]jmes.Block{{All: make([]jmes.Test, 257)}}, jmes.Options{}},
		"TooManyBlocks":        {make([]jmes.Block, 65), jmes.Options{}},
		"TooDeep":              {[]jmes.Block{{All: []jmes.Test{{Key: "{{ a }}", Operator: "Equals", Value: deep}}}}, jmes.Options{}},
		"TooLong":              {[]jmes.Block{{All: []jmes.Test{equals(strings.Repeat("a", 9000), "x")}}}, jmes.Options{}},
		"NoJSON":               {[]jmes.Block{{All: []jmes.Test{{Key: "{{ a }}", Operator: "Equals", Value: struct{}{}}}}}, jmes.Options{}},
		"ContextNamedRequest":  {[]jmes.Block{{All: one}}, jmes.Options{Context: map[string]any{"request": "x"}}},
		"ContextNamedElement":  {[]jmes.Block{{All: one}}, jmes.Options{Context: map[string]any{"element": "x"}}},
		"NestingOfVariables":   {[]jmes.Block{{All: []jmes.Test{{Key: strings.Repeat("{{ a.", 9) + "b" + strings.Repeat(" }}", 9), Operator: "Equals", Value: "x"}}}}, jmes.Options{}},
		"LongRegularExpession": {[]jmes.Block{{All: []jmes.Test{equals("regex_match('"+strings.Repeat("a", 2000)+"', a)", "x")}}}, jmes.Options{}},
	} {
		if _, err := jmes.Compile(c.blocks, c.o); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
	for _, key := range []string{
		"{{ }}", "{{ @ }}", "{{ a", "{{ a }", "{{ {a: {b: c}} }}", "{{ a.{{ b }", "{{ a[ }}", "{{ [1", "{{ a.[1 }}", "{{ {a: b, }}", "{{ f(a) }}", "{{ &a }}", "{{ @(a) }}",
		"{{ map(a, b) }}", "{{ length(&a) }}", "{{ length() }}", "{{ a[::0] }}", "{{ length(`1`) }}", "{{ 'a'(b) }}", "{{ a.{{ b }}( }}", "{{ {{ f(x) }} }}", "{{ x({{ a }}) }}",
		"{{ request.object.metadata.labels }}", "{{ request.oldObject }}", "{{ request.userInfo.groups }}", "{{ images.containers }}", "{{ length(request.object) }}", "{{ target.x }}",
		"{{ a }} $(./../value)", "{{ regex_match('[', a) }}", "{{ \xff }}", "{{ `{` }}",
	} {
		if _, err := jmes.Compile([]jmes.Block{{All: []jmes.Test{{Key: key, Operator: "NotEquals", Value: "x"}}}}, jmes.Options{}); err == nil {
			t.Errorf("key %q: want an error", key)
		}
	}
}

func TestVariablesAreListed(t *testing.T) {
	for given, want := range map[string][][]string{
		"no variable":             nil,
		"{{ keys.data.org }}":     {{"keys", "data", "org"}},
		"{{ keys.data.\"a.b\" }}": {{"keys", "data", "a.b"}},
		"{{ request.object.metadata.labels.x || 'none' }}": {{"request", "object", "metadata", "labels", "x"}},
		"{{ items[?name == 'x'].value | [0] }}":            {{"items"}},
		"{{ length(images.containers[*].tag) }}{{ now }}":  {{"images", "containers"}, {"now"}},
		"{{ merge(a.b, {c: d.e}).f }}":                     {{"a", "b"}, {"d", "e"}},
		"{{ map(&inner, outer) }}":                         {{"outer"}},
		"{{ a.b[0].c }}":                                   {{"a", "b"}},
		"{{ a.[b, c] }}":                                   {{"a", "b"}, {"a", "c"}},
		"{{ a | b.c }}":                                    {{"a", "b", "c"}},
		"{{ keys(@) }}":                                    {{}},
		"{{ keys.data.{{ request.namespace }} }}":          {{}, {"keys", "data", "x"}, {"request", "namespace"}},
		"{{ time_now() }}":                                 nil,
		`\{{ a }}`:                                         nil,
		"{{ request.object.spec.containers[].image }}/{{- request.namespace }}!": {{"request", "namespace"}, {"request", "object", "spec", "containers"}},
	} {
		got, err := jmes.Variables(given)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: -want +got\n%s%v", given, diff, err)
		}
	}
	if _, err := jmes.Variables([]any{map[string]any{"a": "{{ f(x) }}"}}); err == nil {
		t.Error("want an unknown function refused wherever it is")
	}
}
