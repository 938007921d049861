export { RayActorQueue, RayQueue, type RayQueueStats } from './queue';
