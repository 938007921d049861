export { RayActorQueue, RayQueue, type RayQueueStats } from './ray-queue';
