// Package reports writes policy reports, one of each namespace, in the APIs that
// dashboards read: PolicyReport of wgpolicyk8s.io/v1alpha2 and Report of
// openreports.io/v1alpha1, which took over its fields, wherever they are served.
//
// It writes what it is handed and only where that differs from what is stored.
// It installs no API, and touches no report but those under its own name.
package reports
