package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

// writers is how many requests the API server is asked at once while a cluster
// is filled.
const writers = 16

// The kinds whose objects are written and read.
var (
	clusterPolicies = schema.GroupVersionResource{Group: "bonafide.dev", Version: "v1alpha1", Resource: "clusterverificationpolicies"}
	tenantPolicies  = schema.GroupVersionResource{Group: "bonafide.dev", Version: "v1alpha1", Resource: "verificationpolicies"}
	policyReports   = schema.GroupVersionResource{Group: "wgpolicyk8s.io", Version: "v1alpha2", Resource: "policyreports"}
	secrets         = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
)

// newCluster starts etcd and an API server with the definitions that an
// installation has and one for reports.
func newCluster(s *stand) *rig.Cluster {
	c := rig.Start(s)
	for _, pattern := range []string{"config/crd/*.yaml", "internal/kube/reports/testdata/policyreports.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			s.Fatalf("expected definitions as %s, got none: run in the module's root", pattern)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				s.Fatal(err)
			}
			for _, definition := range c.Apply(s, string(text)) {
				c.Await(s, definition, established)
			}
		}
	}
	c.NamespaceNamed(s, systemNamespace)
	c.NamespaceNamed(s, reviewed)
	return c
}

func established(o *unstructured.Unstructured) error { return holds(o, "Established") }

// holds returns an error unless a condition of the object's status is True.
func holds(o *unstructured.Unstructured, kind string) error {
	conditions, _, err := unstructured.NestedSlice(o.Object, "status", "conditions")
	if err != nil {
		return err
	}
	for _, entry := range conditions {
		if c, _ := entry.(map[string]any); c["type"] == kind && c["status"] == "True" {
			return nil
		}
	}
	return fmt.Errorf("expected condition %s of %s, got %v", kind, o.GetName(), conditions)
}

// filler writes a fleet into a cluster.
type filler struct {
	*fleet
	*rig.Cluster
	typed kubernetes.Interface
}

func newFiller(f *fleet, c *rig.Cluster) (*filler, error) {
	config := rest.CopyConfig(c.Config)
	config.ContentType = "application/vnd.kubernetes.protobuf" // half the work for both ends
	typed, err := kubernetes.NewForConfig(config)
	return &filler{f, c, typed}, err
}

// each does n things at once, as many as the API server is asked, and says so.
func each(ctx context.Context, what string, n int, do func(ctx context.Context, i int) error) error {
	began := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(writers)
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error { return do(ctx, i) })
	}
	err := group.Wait()
	fmt.Fprintf(os.Stderr, "created %d %s in %.1f s\n", n, what, time.Since(began).Seconds())
	return err
}

// fill writes everything: policies first, as they are where Pods were admitted by
// them.
func (f *filler) fill(ctx context.Context) error {
	create := func(resource schema.GroupVersionResource, namespace, text string) error {
		return f.create(ctx, resource, namespace, text)
	}
	steps := []struct {
		what string
		n    int
		do   func(ctx context.Context, i int) error
	}{
		{"namespaces", f.namespaces(), f.namespace},
		{"Secrets", (f.clusterPolicies() + secretEvery - 1) / secretEvery, func(_ context.Context, i int) error {
			return create(secrets, systemNamespace, secret(i*secretEvery, f.key(i*secretEvery)))
		}},
		{"cluster policies", f.clusterPolicies(), func(_ context.Context, i int) error {
			return create(clusterPolicies, "", f.clusterPolicy(i, f.key(i)))
		}},
		{"policies of namespaces", f.policies - f.clusterPolicies(), func(_ context.Context, i int) error {
			return create(tenantPolicies, namespaceName(i%f.namespaces()), f.namespacedPolicy(i))
		}},
		{"Pods", f.pods, f.pod},
	}
	for _, step := range steps {
		if err := each(ctx, step.what, step.n, step.do); err != nil {
			return fmt.Errorf("create %s: %w", step.what, err)
		}
	}
	return nil
}

func (f *filler) create(ctx context.Context, resource schema.GroupVersionResource, namespace, text string) error {
	o, err := object(text)
	if err != nil {
		return err
	}
	_, err = f.Dynamic.Resource(resource).Namespace(namespace).Create(ctx, o, metav1.CreateOptions{})
	return err
}

func object(text string) (*unstructured.Unstructured, error) {
	o := &unstructured.Unstructured{}
	return o, yaml.Unmarshal([]byte(text), &o.Object)
}

// namespace makes a namespace with the service account that controllers would
// make in it.
func (f *filler) namespace(ctx context.Context, i int) error {
	name := namespaceName(i)
	_, err := f.typed.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"team": name}},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	_, err = f.typed.CoreV1().ServiceAccounts(name).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{})
	return err
}

// pod makes the i-th Pod, as a Deployment's ReplicaSet makes it, and says of it
// what a kubelet would.
func (f *filler) pod(ctx context.Context, i int) error {
	w := i / replicas
	namespace, image, ref := f.workload(w)
	pods := f.typed.CoreV1().Pods(namespace)
	pod, err := pods.Create(ctx, podOf(w, i, ref), metav1.CreateOptions{})
	if err != nil {
		return err
	}
	running := metav1.NewTime(time.Now())
	pod.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, HostIP: "10.0.0.1", PodIP: fmt.Sprintf("10.1.%d.%d", i/256, i%256), StartTime: &running,
		Conditions: []corev1.PodCondition{
			{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: running},
			{Type: corev1.ContainersReady, Status: corev1.ConditionTrue, LastTransitionTime: running},
			{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: running},
		},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: "app", Image: image.tagged, ImageID: image.running, ContainerID: fmt.Sprintf("containerd://%064d", i), Ready: true,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: running}},
		}},
	}
	_, err = pods.UpdateStatus(ctx, pod, metav1.UpdateOptions{})
	return err
}

// podOf has the size of an ordinary Pod: some 5 KiB as JSON.
func podOf(workload, i int, ref string) *corev1.Pod {
	app := fmt.Sprintf("app-%d", workload)
	owner, yes := fmt.Sprintf("%s-5d69d46df6", app), true
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name:   fmt.Sprintf("%s-%05d", owner, i),
			Labels: map[string]string{"app.kubernetes.io/name": app, "app.kubernetes.io/part-of": "shop", "pod-template-hash": "5d69d46df6"},
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "apps/v1", Kind: "ReplicaSet", Name: owner, UID: types.UID(fmt.Sprintf("00000000-0000-4000-8000-%012d", workload)), Controller: &yes,
			}},
		},
		Spec: corev1.PodSpec{
			NodeName: fmt.Sprintf("node-%d", i%100), ServiceAccountName: "default",
			Containers: []corev1.Container{{Name: "app", Image: ref, Ports: []corev1.ContainerPort{{ContainerPort: 8080}}}},
		},
	}
	for j := range 20 {
		variable := corev1.EnvVar{Name: fmt.Sprintf("VARIABLE_%d", j), Value: fmt.Sprintf("%0100d", j)}
		pod.Spec.Containers[0].Env = append(pod.Spec.Containers[0].Env, variable)
	}
	return pod
}
