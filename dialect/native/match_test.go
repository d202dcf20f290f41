package native_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/dialect/native"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

func in(namespace string) policy.Namespace {
	return policy.Namespace{State: policy.NamespaceKnown, Name: namespace, Labels: map[string]string{"team": namespace}}
}

func matcher(t testing.TB, kind, namespace, spec string) policy.Matcher {
	t.Helper()
	policies, err := compile(t, "p.yaml", document(kind, namespace, spec), fakeSigners{}, native.Options{ClusterAvailable: true})
	if err != nil {
		t.Fatal(err)
	}
	return policies[0].Match
}

func TestMatch(t *testing.T) {
	const optOut = "\nallowAuthorOptOut: true"
	nobody := policy.Namespace{}
	unknown := policy.Namespace{State: policy.NamespaceUnknown}
	unlabelled := policy.Namespace{State: policy.NamespaceKnown, Name: "shop"}
	cases := map[string]struct {
		reason  string
		kind    string
		spec    string
		request policy.Request
		want    bool
		unsure  bool
	}{
		"Name":                {"exactly that name", cluster, "match: {namespaces: [shop]}", policy.Request{Namespace: in("shop")}, true, false},
		"OtherName":           {"no prefix counts", cluster, "match: {namespaces: [shop]}", policy.Request{Namespace: in("shop2")}, false, false},
		"Wildcard":            {"a star stands for any run", cluster, "match: {namespaces: ['team-*']}", policy.Request{Namespace: in("team-a")}, true, false},
		"WildcardEmpty":       {"of none, too", cluster, "match: {namespaces: ['team-*']}", policy.Request{Namespace: in("team-")}, true, false},
		"WildcardMiddle":      {"parts in order", cluster, "match: {namespaces: ['a*b*c']}", policy.Request{Namespace: in("axbxbc")}, true, false},
		"WildcardOverlap":     {"one character is not two", cluster, "match: {namespaces: ['ab*ba']}", policy.Request{Namespace: in("aba")}, false, false},
		"WildcardOrder":       {"parts in order", cluster, "match: {namespaces: ['*b*c*']}", policy.Request{Namespace: in("cb")}, false, false},
		"WildcardAll":         {"any name", cluster, "match: {namespaces: ['*']}", policy.Request{Namespace: in("x")}, true, false},
		"NotCarried":          {"doubt includes", cluster, "match: {namespaces: [shop]}", policy.Request{Namespace: nobody}, true, false},
		"Unknown":             {"it could be shop", cluster, "match: {namespaces: [shop]}", policy.Request{Namespace: unknown}, false, true},
		"UnknownAndWildcard":  {"even if every name matches", cluster, "match: {namespaces: ['*']}", policy.Request{Namespace: unknown}, false, true},
		"Labels":              {"the namespace's", cluster, "match: {namespaceSelector: {matchLabels: {team: shop}}}", policy.Request{Namespace: in("shop")}, true, false},
		"OtherLabels":         {"the namespace's", cluster, "match: {namespaceSelector: {matchLabels: {team: shop}}}", policy.Request{Namespace: in("other")}, false, false},
		"LabelsNotCarried":    {"doubt includes", cluster, "match: {namespaceSelector: {matchLabels: {team: shop}}}", policy.Request{}, true, false},
		"LabelsUnknown":       {"no labels are not empty labels", cluster, "match: {namespaceSelector: {matchLabels: {team: shop}}}", policy.Request{Namespace: unlabelled}, false, true},
		"NotLabelsUnknown":    {"nor when absence selects", cluster, "match: {namespaceSelector: {matchExpressions: [{key: a, operator: DoesNotExist}]}}", policy.Request{Namespace: unlabelled}, false, true},
		"BothParts":           {"every part must hold", cluster, "match: {namespaces: [shop], namespaceSelector: {matchLabels: {team: x}}}", policy.Request{Namespace: in("shop")}, false, false},
		"NameDecidesFirst":    {"another name is no, whatever its labels", cluster, "match: {namespaces: [x], namespaceSelector: {matchLabels: {team: x}}}", policy.Request{Namespace: unlabelled}, false, false},
		"Kind":                {"of the list", cluster, "match: {kinds: [Pod, Job]}", policy.Request{Kind: "Job"}, true, false},
		"OtherKind":           {"not of the list", cluster, "match: {kinds: [Pod, Job]}", policy.Request{Kind: "Deployment"}, false, false},
		"NoKind":              {"doubt includes", cluster, "match: {kinds: [Pod]}", policy.Request{}, true, false},
		"ObjectLabels":        {"the object's", cluster, "match: {objectSelector: {matchLabels: {a: b}}}" + optOut, policy.Request{Kind: "Pod", Labels: map[string]string{"a": "b"}}, true, false},
		"NoObjectLabels":      {"an object without labels", cluster, "match: {objectSelector: {matchLabels: {a: b}}}" + optOut, policy.Request{Kind: "Pod"}, false, false},
		"NoObject":            {"doubt includes", cluster, "match: {objectSelector: {matchLabels: {a: b}}}" + optOut, policy.Request{}, true, false},
		"KindAndUnknown":      {"the kind already says no", cluster, "match: {kinds: [Pod], namespaces: [a]}", policy.Request{Kind: "Job", Namespace: unknown}, false, false},
		"TenantOwn":           {"its own namespace", tenant, "", policy.Request{Namespace: in("team-a")}, true, false},
		"TenantOther":         {"and no other", tenant, "", policy.Request{Namespace: in("team-b")}, false, false},
		"TenantUnknown":       {"it could be its own", tenant, "", policy.Request{Namespace: unknown}, false, true},
		"TenantNotCarried":    {"doubt includes", tenant, "", policy.Request{}, true, false},
		"TenantWithKinds":     {"kinds narrow, the namespace stays", tenant, "match: {kinds: [Pod]}", policy.Request{Kind: "Pod", Namespace: in("team-b")}, false, false},
		"StateOutOfRange":     {"what is not known to be known is unknown", tenant, "", policy.Request{Namespace: policy.Namespace{State: 99, Name: "team-a"}}, false, true},
		"EmptyNamespaceNames": {"a known namespace has a name", cluster, "match: {namespaces: [shop]}", policy.Request{Namespace: in("")}, false, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			namespace := ""
			if tc.kind == tenant {
				namespace = "team-a"
			}
			got, err := matcher(t, tc.kind, namespace, tc.spec).Match(tc.request)
			var problem *evidence.Problem
			if (err != nil) != tc.unsure || (tc.unsure && (!errors.As(err, &problem) || problem.Reason != evidence.SelectionFailed)) {
				t.Fatalf("%s: expected unsure %t, got error %v", tc.reason, tc.unsure, err)
			}
			if err == nil && got != tc.want {
				t.Errorf("%s: expected %t, got %t", tc.reason, tc.want, got)
			}
		})
	}
}

func TestR16UnknownNamespaceIsUndecided(t *testing.T) {
	for _, spec := range []string{"match: {namespaces: [shop]}", "match: {namespaceSelector: {matchLabels: {a: b}}}"} {
		matched, err := matcher(t, cluster, "", spec).Match(policy.Request{Kind: "Pod", Namespace: policy.Namespace{State: policy.NamespaceUnknown}})
		if p := evidence.ProblemOf(err); p == nil || !p.Undecided() {
			t.Errorf("%s: expected an undecided problem, got %t, %v", spec, matched, err)
		}
	}
}

func TestNoSelectionIsNoMatcher(t *testing.T) {
	if m := matcher(t, cluster, "", "match: {}"); m != nil {
		t.Errorf("expected no matcher, got %v", m)
	}
}

func BenchmarkMatch(b *testing.B) {
	m := matcher(b, cluster, "", "match: {namespaces: [a, b, 'team-*'], namespaceSelector: {matchLabels: {team: team-x}}, kinds: [Pod, Job]}")
	r := policy.Request{Kind: "Pod", Namespace: in("team-x")}
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := m.Match(r); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

// Whoever files policies by namespace must not miss one.
func TestMatcherSaysInWhichNamespacesItMayMatch(t *testing.T) {
	cases := map[string]struct {
		kind, namespace, spec string
		want                  []string
	}{
		"Names":          {cluster, "", "match: {namespaces: [shop, till]}", []string{"shop", "till"}},
		"NameAndPattern": {cluster, "", "match: {namespaces: [shop, 'team-*']}", nil},
		"Labels":         {cluster, "", "match: {namespaceSelector: {matchLabels: {team: shop}}}", nil},
		"Kinds":          {cluster, "", "match: {kinds: [Pod]}", nil},
		"Namespaced":     {tenant, "shop", "match: {kinds: [Pod]}", []string{"shop"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			scoped, is := matcher(t, c.kind, c.namespace, c.spec).(policy.ScopedMatcher)
			if !is {
				t.Fatal("want a matcher that says so")
			}
			got := scoped.Namespaces()
			slices.Sort(got)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
