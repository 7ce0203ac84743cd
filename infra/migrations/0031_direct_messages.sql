ALTER TABLE read_workspaces ADD COLUMN review_messages boolean NOT NULL DEFAULT true;
-- A direct message is a job without a campaign.
ALTER TABLE read_jobs ALTER COLUMN campaign_id DROP NOT NULL, ALTER COLUMN campaign_version DROP NOT NULL,
    ALTER COLUMN audience_id DROP NOT NULL;
