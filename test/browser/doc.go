// Package browser walks through the pages in headless Chromium, as a person would: on a real server with a small project
// that it really builds (TestStory, with REQPM_E2E=1, as root), and on a server that shows the past of pagetest, for all
// that needs no builds. Without Chromium the tests are skipped.
package browser
