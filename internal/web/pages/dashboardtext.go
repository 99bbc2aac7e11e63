package pages

import (
	"fmt"

	"reqpm/internal/store"
)

// What dashboard.templ says.

func runningSub(all []runningRun) string {
	running, queued := 0, 0
	for _, r := range all {
		if r.Run.State == store.RunQueued {
			queued++
		} else {
			running++
		}
	}
	return fmt.Sprintf("%d running, %d queued", running, queued)
}

func failurePath(f failure) string {
	if f.Step.Kind == store.Build {
		return buildPath(f.Step.ID)
	}
	return runPath(f.Step.Run)
}

// freeText says how much of a worker's disk is free.
func freeText(w store.Worker) string {
	switch {
	case w.DiskFree < 0:
		return "not known"
	case w.DiskSize <= 0:
		return bytesText(w.DiskFree) + " free"
	}
	return fmt.Sprintf("%s of %s free", bytesText(w.DiskFree), bytesText(w.DiskSize))
}

// diskClass is a warning's colour where the disk is nearly full.
func diskClass(w store.Worker) string {
	if diskUsed(w) > 0.95 {
		return "warn"
	}
	return ""
}

// diskUsed is the part of a worker's disk that is taken; below nothing when it is not known.
func diskUsed(w store.Worker) float64 {
	if w.DiskFree < 0 || w.DiskSize < w.DiskFree || w.DiskSize == 0 {
		return -1
	}
	return 1 - float64(w.DiskFree)/float64(w.DiskSize)
}

func dayRuns(d dayFacts) string {
	more := ""
	if d.More {
		more = "at least "
	}
	return fmt.Sprintf("%s%s, of which %s green", more, number(int64(d.Runs)), number(int64(d.Green)))
}

func publishedText(r publishedRow) string {
	text := fmt.Sprintf("%s, %s", r.Repository.Target, plural(int(r.Packages), "package"))
	if r.Proven {
		text += ", installs"
	}
	return text
}

func workerState(w workerRow) string {
	switch {
	case w.Worker.State == store.WorkerGone:
		return "cancelled"
	case w.Worker.State == store.WorkerDraining || w.Worker.Message != "":
		return "waiting"
	case w.Busy > 0:
		return "running"
	}
	return "succeeded"
}

func workerText(w workerRow) string {
	switch {
	case w.Worker.State == store.WorkerGone:
		return "gone," // and when
	case w.Worker.State == store.WorkerDraining:
		return "takes nothing new"
	case w.Worker.Message != "":
		return "takes no work"
	case w.Busy == 0:
		return orText(w.Worker.Labels["builder"], "any builder") + ", idle"
	}
	return orText(w.Worker.Labels["builder"], "any builder") + ", works"
}

func slotClass(w workerRow, i int64) string {
	switch {
	case w.Worker.State == store.WorkerGone:
		return "off"
	case i < w.Busy:
		return "on"
	}
	return ""
}
