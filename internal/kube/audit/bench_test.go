package audit_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bonafide-dev/bonafide/internal/kube/audit"
)

const (
	benchPods       = 10_000
	benchImages     = 50
	benchNamespaces = 20
)

// BenchmarkSweep sweeps over 10,000 Pods of 50 images, which an API server of
// the benchmark's own hands out page by page, and prints the memory that is held
// with the report.
func BenchmarkSweep(b *testing.B) {
	var pods []*corev1.Pod
	for i := range benchPods {
		pods = append(pods, benchPod(i))
	}
	client := (&podServer{}).start(b, pods...)
	for name, eager := range map[string]bool{"Resting": false, "Eager": true} {
		b.Run(name, func(b *testing.B) {
			a, err := audit.New(audit.Options{Client: client, Decider: newDecider(), Now: time.Now, Eager: eager})
			if err != nil {
				b.Fatal(err)
			}
			var r audit.Report
			before := live()
			b.ResetTimer()
			for b.Loop() {
				if r, err = a.Sweep(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			if r.Pods != benchPods || len(r.Results) != 2*benchPods {
				b.Fatalf("want %d Pods, got %d", benchPods, r.Pods)
			}
			b.ReportMetric(float64(r.Decisions), "decisions")
			b.ReportMetric(float64(live()-before)/(1<<20), "MiB-held")
			runtime.KeepAlive(r)
			runtime.KeepAlive(a)
		})
	}
}

func live() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func benchPod(i int) *corev1.Pod {
	image := func(n int) string { return fmt.Sprintf("registry.example/team/app-%d:v1", n%benchImages) }
	app := fmt.Sprintf("app-%d", i%benchImages)
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: fmt.Sprintf("team-%d", i%benchNamespaces), Name: fmt.Sprintf("%s-%d", app, i), UID: types.UID(fmt.Sprint(i)),
			Labels: map[string]string{"app": app, "pod-template-hash": "5d69d46df6"},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: image(i)}, {Name: "proxy", Image: image(0)}}},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{
			{Name: "app", ImageID: image(i)[:len(image(i))-3] + "@" + goodDigest.String()},
		}},
	}
	for j := range 20 { // what else Pods hold: some 5 KiB
		p.Spec.Containers[0].Env = append(p.Spec.Containers[0].Env, corev1.EnvVar{Name: fmt.Sprintf("VARIABLE_%d", j), Value: fmt.Sprintf("%0200d", j)})
	}
	return p
}
