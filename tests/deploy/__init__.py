"""What is deployed: alerts, dashboard, image, chart, and the runbook that goes with them."""
