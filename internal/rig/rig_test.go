package rig_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/bonafide-dev/bonafide/examples"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

var shared rig.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

func TestClusterAuthenticatesAndAuthorizes(t *testing.T) {
	cluster := shared.Cluster(t)
	namespace := cluster.Namespace(t, nil)
	fromFile, err := clientcmd.BuildConfigFromFlags("", cluster.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason  string
		config  *rest.Config
		user    string
		allowed bool
	}{
		"Administrator":  {reason: "the administrator may do anything", config: cluster.Config, user: "admin", allowed: true},
		"KubeconfigFile": {reason: "the file is the administrator's", config: fromFile, user: "admin", allowed: true},
		"OrdinaryUser":   {reason: "RBAC grants nothing by default", config: cluster.ConfigFor(t, "alice"), user: "alice"},
		"ServiceAccount": {
			reason: "the API server accepts the tokens that it issues",
			config: cluster.ServiceAccountConfig(t, namespace, "runner"), user: "system:serviceaccount:" + namespace + ":runner",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			client, err := kubernetes.NewForConfig(tc.config)
			if err != nil {
				t.Fatal(err)
			}
			self, err := client.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got := self.Status.UserInfo.Username; got != tc.user {
				t.Errorf("%s: user: want %q, got %q", tc.reason, tc.user, got)
			}
			_, err = client.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
			if allowed := err == nil; allowed != tc.allowed {
				t.Errorf("%s: listing Pods: want allowed=%t, got error %v", tc.reason, tc.allowed, err)
			}
			if err != nil && !apierrors.IsForbidden(err) {
				t.Errorf("%s: listing Pods: want Forbidden, got %v", tc.reason, err)
			}
		})
	}
}

func TestClusterHasAVersionThatClientsParse(t *testing.T) {
	version, err := shared.Cluster(t).Client.Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if version.Major != "1" || version.Minor == "" || !strings.HasPrefix(version.GitVersion, "v1."+version.Minor+".") {
		t.Errorf("want v1.<minor>.<patch>, got %+v", version)
	}
}

func TestStartStopsWithItsTest(t *testing.T) {
	var config *rest.Config
	t.Run("Inner", func(t *testing.T) { config = rig.Start(t).Config })
	if config == nil {
		t.Fatal("no cluster")
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Discovery().ServerVersion(); err == nil {
		t.Error("want no answer once the test has ended, got one")
	}
}

func TestRegistryServesWithoutReferrers(t *testing.T) {
	registry := rig.StartRegistry(t)
	const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for path, want := range map[string]int{
		"/v2/":                             http.StatusOK,
		"/v2/acme/app/referrers/" + digest: http.StatusNotFound,
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+registry.Host+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("GET %s: want %d, got %d", path, want, response.StatusCode)
		}
	}
}

func TestApplyCreatesChangesAndDeletes(t *testing.T) {
	cluster := shared.Cluster(t)
	namespace := cluster.Namespace(t, nil)
	maps := cluster.Client.CoreV1().ConfigMaps(namespace)
	t.Run("Inner", func(t *testing.T) {
		for _, want := range []string{"first", "second"} {
			cluster.Apply(t, "kind: ConfigMap\napiVersion: v1\nmetadata: {name: a, namespace: "+namespace+"}\ndata: {value: "+want+"}\n")
			stored, err := maps.Get(t.Context(), "a", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if got := stored.Data["value"]; got != want {
				t.Errorf("want %q, got %q", want, got)
			}
		}
	})
	if _, err := maps.Get(t.Context(), "a", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("want it gone with its test, got %v", err)
	}
}

func TestApplyWaitsForTheKind(t *testing.T) {
	cluster := shared.Cluster(t)
	cluster.Apply(t, `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.rig.bonafide.dev}
spec:
  group: rig.bonafide.dev
  scope: Cluster
  names: {kind: Thing, plural: things}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
---
apiVersion: rig.bonafide.dev/v1
kind: Thing
metadata: {name: first}
`)
}

func TestModuleFileReadsTheSource(t *testing.T) {
	content := rig.ModuleFile(t, "registry", "go.mod")
	if !strings.Contains(string(content), "module github.com/distribution/distribution/v3") {
		t.Errorf("want the registry's own go.mod, got %.80q", content)
	}
}

func TestExampleGivesTheDocumentsOfKindsInTheirOrder(t *testing.T) {
	example := rig.FillExample(t, examples.GatekeeperCosign, "cluster", examples.Values{})
	kinds := []string{"Provider", "ConstraintTemplate"}
	documents := example.Documents(t, kinds...)
	if len(documents) != len(kinds) {
		t.Fatalf("want one of each of %q, got %q", kinds, documents)
	}
	for i, kind := range kinds {
		if !strings.Contains(documents[i], "\nkind: "+kind+"\n") {
			t.Errorf("want a %s, got %q", kind, documents[i])
		}
	}
	if all := example.Documents(t); len(all) <= len(kinds) {
		t.Errorf("want the other documents too, got %q", all)
	}
}

func TestBinaryRefusesUnknownNames(t *testing.T) {
	if path, err := rig.Binary(t.Context(), "kubelet"); err == nil {
		t.Errorf("want an error, got %q", path)
	}
}

func TestPollGivesUpWithTheLastError(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	err := rig.Poll(ctx, func(context.Context) error { return http.ErrServerClosed })
	if err == nil {
		t.Fatal("want an error")
	}
	for _, want := range []error{http.ErrServerClosed, context.DeadlineExceeded} {
		if !errors.Is(err, want) {
			t.Errorf("want %v in the chain of %v", want, err)
		}
	}
}
